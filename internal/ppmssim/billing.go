package ppmssim

// Booking is a reservation. Times are those of the simulator's clock.
type Booking struct {
	System   int    `json:"system"`
	Login    string `json:"login"`
	Day      string `json:"day,omitempty"` // YYYY-MM-DD; "" is every day
	Start    string `json:"start"`         // HH:MM
	End      string `json:"end"`           // HH:MM; 00:00 is the end of the day
	Session  int    `json:"session,omitempty"`
	Training string `json:"training,omitempty"`
	Assisted string `json:"assisted,omitempty"`
}

// Experience is how much somebody has used a system. Hours are decimals; days are YYYY/MM/DD, "" is n/a.
type Experience struct {
	Login     string `json:"login"`
	System    int    `json:"system"`
	Booked    string `json:"booked,omitempty"`
	Used      string `json:"used,omitempty"`
	LastRes   string `json:"lastres,omitempty"`
	LastTrain string `json:"lasttrain,omitempty"`
}

// Service is something that can be ordered from a core facility.
type Service struct {
	ID       int    `json:"id"`
	Facility int    `json:"facility"`
	Type     string `json:"type,omitempty"`
	Name     string `json:"name"`
	Unit     string `json:"unit,omitempty"`
	Price    string `json:"price,omitempty"`
	Active   bool   `json:"active"`
}

// Order is what somebody ordered. Dates are texts, "" is n/a.
type Order struct {
	Ref           int         `json:"ref"`
	Facility      int         `json:"facility"`
	Login         string      `json:"login"`
	Group         string      `json:"group,omitempty"`
	Project       int         `json:"project,omitempty"`
	Quoted        string      `json:"quoted,omitempty"`
	Ordered       string      `json:"ordered,omitempty"`
	Completed     string      `json:"completed,omitempty"`
	Status        string      `json:"status,omitempty"`
	Invoiced      bool        `json:"invoiced,omitempty"`
	Comments      string      `json:"comments,omitempty"`
	StaffComments string      `json:"staffcomments,omitempty"`
	Bcode         string      `json:"bcode,omitempty"`
	Lines         []OrderLine `json:"lines"`
}

// OrderLine is one service of an order.
type OrderLine struct {
	ID       int    `json:"id"`
	Service  int    `json:"service"`
	Quantity string `json:"quantity"`
}

// Invoice is what account numbers are charged with, and for what. Details go by the names of getinvoicedetails' columns.
type Invoice struct {
	ID      string              `json:"id"`
	Charges []Charge            `json:"charges"`
	Details []map[string]string `json:"details,omitempty"`
}

// Charge is what one account number pays.
type Charge struct {
	Account string `json:"account"`
	Amount  string `json:"amount"`
}

// Project is a project of a core facility.
type Project struct {
	Ref         int      `json:"ref"`
	Facility    int      `json:"facility"`
	Name        string   `json:"name"`
	Phase       int      `json:"phase,omitempty"`
	Active      bool     `json:"active"`
	Bcode       string   `json:"bcode,omitempty"`
	Affiliation string   `json:"affiliation,omitempty"`
	Type        string   `json:"type,omitempty"`
	Group       string   `json:"group,omitempty"`
	Descr       string   `json:"descr,omitempty"`
	Users       []string `json:"users,omitempty"`
}

// Bcode is an account number, of a user, a group or a project.
type Bcode struct {
	Bcode   string `json:"bcode"`
	User    string `json:"user,omitempty"`
	Group   string `json:"group,omitempty"`
	Project int    `json:"project,omitempty"`
	Subsidy string `json:"subsidy,omitempty"`
	Charges string `json:"charges,omitempty"`
}
