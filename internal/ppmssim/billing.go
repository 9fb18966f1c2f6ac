package ppmssim

// Booking is a reservation. Times are those of the simulator's clock.
type Booking struct {
	System   int    `yaml:"system"   json:"system"`
	Login    string `yaml:"login"    json:"login"`
	Day      string `yaml:"day"      json:"day,omitempty"` // YYYY-MM-DD; "" is every day
	Start    string `yaml:"start"    json:"start"`         // HH:MM
	End      string `yaml:"end"      json:"end"`           // HH:MM; 00:00 is the end of the day
	Session  int    `yaml:"session"  json:"session,omitempty"`
	Training string `yaml:"training" json:"training,omitempty"`
	Assisted string `yaml:"assisted" json:"assisted,omitempty"`
}

// Experience is how much somebody has used a system. Hours are decimals; days are YYYY/MM/DD, "" is n/a.
type Experience struct {
	Login     string `yaml:"login"     json:"login"`
	System    int    `yaml:"system"    json:"system"`
	Booked    string `yaml:"booked"    json:"booked,omitempty"`
	Used      string `yaml:"used"      json:"used,omitempty"`
	LastRes   string `yaml:"lastres"   json:"lastres,omitempty"`
	LastTrain string `yaml:"lasttrain" json:"lasttrain,omitempty"`
}

// Service is something that can be ordered from a core facility.
type Service struct {
	ID       int    `yaml:"id"       json:"id"`
	Facility int    `yaml:"facility" json:"facility"`
	Type     string `yaml:"type"     json:"type,omitempty"`
	Name     string `yaml:"name"     json:"name"`
	Unit     string `yaml:"unit"     json:"unit,omitempty"`
	Price    string `yaml:"price"    json:"price,omitempty"`
	Active   bool   `yaml:"active"   json:"active"`
}

// Order is what somebody ordered. Dates are texts, "" is n/a.
type Order struct {
	Ref           int         `yaml:"ref"           json:"ref"`
	Facility      int         `yaml:"facility"      json:"facility"`
	Login         string      `yaml:"login"         json:"login"`
	Group         string      `yaml:"group"         json:"group,omitempty"`
	Project       int         `yaml:"project"       json:"project,omitempty"`
	Quoted        string      `yaml:"quoted"        json:"quoted,omitempty"`
	Ordered       string      `yaml:"ordered"       json:"ordered,omitempty"`
	Completed     string      `yaml:"completed"     json:"completed,omitempty"`
	Status        string      `yaml:"status"        json:"status,omitempty"`
	Invoiced      bool        `yaml:"invoiced"      json:"invoiced,omitempty"`
	Comments      string      `yaml:"comments"      json:"comments,omitempty"`
	StaffComments string      `yaml:"staffcomments" json:"staffcomments,omitempty"`
	Bcode         string      `yaml:"bcode"         json:"bcode,omitempty"`
	Lines         []OrderLine `yaml:"lines"         json:"lines"`
}

// OrderLine is one service of an order.
type OrderLine struct {
	ID       int    `yaml:"id"       json:"id"`
	Service  int    `yaml:"service"  json:"service"`
	Quantity string `yaml:"quantity" json:"quantity"`
}

// Invoice is what account numbers are charged with, and for what. Details go by the names of getinvoicedetails' columns.
type Invoice struct {
	ID      string              `yaml:"id"      json:"id"`
	Charges []Charge            `yaml:"charges" json:"charges"`
	Details []map[string]string `yaml:"details" json:"details,omitempty"`
}

// Charge is what one account number pays.
type Charge struct {
	Account string `yaml:"account" json:"account"`
	Amount  string `yaml:"amount"  json:"amount"`
}

// Project is a project of a core facility.
type Project struct {
	Ref         int      `yaml:"ref"         json:"ref"`
	Facility    int      `yaml:"facility"    json:"facility"`
	Name        string   `yaml:"name"        json:"name"`
	Phase       int      `yaml:"phase"       json:"phase,omitempty"`
	Active      bool     `yaml:"active"      json:"active"`
	Bcode       string   `yaml:"bcode"       json:"bcode,omitempty"`
	Affiliation string   `yaml:"affiliation" json:"affiliation,omitempty"`
	Type        string   `yaml:"type"        json:"type,omitempty"`
	Group       string   `yaml:"group"       json:"group,omitempty"`
	Descr       string   `yaml:"descr"       json:"descr,omitempty"`
	Users       []string `yaml:"users"       json:"users,omitempty"`
}

// Bcode is an account number, of a user, a group or a project.
type Bcode struct {
	Bcode   string `yaml:"bcode"   json:"bcode"`
	User    string `yaml:"user"    json:"user,omitempty"`
	Group   string `yaml:"group"   json:"group,omitempty"`
	Project int    `yaml:"project" json:"project,omitempty"`
	Subsidy string `yaml:"subsidy" json:"subsidy,omitempty"`
	Charges string `yaml:"charges" json:"charges,omitempty"`
}
