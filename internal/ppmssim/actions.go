package ppmssim

// action is one thing that PUMAPI can be asked for.
type action struct {
	run    func(*request) answer
	writes bool
	people bool // needs a key that may manage users
}

// actions is the table of what the simulator can be asked for.
func actions() map[string]action {
	return map[string]action{
		"auth":          {run: auth},
		"getusers":      {run: getUsers, people: true},
		"getuser":       {run: getUser, people: true},
		"newuser":       {run: newUser, people: true, writes: true},
		"upduser":       {run: updUser, people: true, writes: true},
		"getadmins":     {run: getAdmins, people: true},
		"getgroups":     {run: getGroups, people: true},
		"getgroup":      {run: getGroup, people: true},
		"getgroupusers": {run: getGroupUsers, people: true},
		"newgroup":      {run: newGroup, people: true, writes: true},
		"updgroup":      {run: updGroup, people: true, writes: true},
		"getsystems":    {run: getSystems},
		"getsysrights":  {run: getSysRights},
		"getuserrights": {run: getUserRights},
		"setright":      {run: setRight, writes: true},

		"getuserexp":        {run: getUserExp, people: true},
		"getbooking":        {run: getBooking},
		"nextbooking":       {run: nextBooking},
		"getrunningsheet":   {run: getRunningSheet},
		"getorders":         {run: getOrders},
		"getorderlines":     {run: getOrderLines},
		"createorder":       {run: createOrder, writes: true},
		"getinvoicelist":    {run: getInvoiceList},
		"getinvoice":        {run: getInvoice},
		"getinvoicedetails": {run: getInvoiceDetails},
		"getservices":       {run: getServices},
		"getprojects":       {run: getProjects},
		"getprojectusers":   {run: getProjectUsers},
		"getuserprojects":   {run: getUserProjects},
		"getbcodes":         {run: getBcodes},
	}
}

// auth with a key alone says nothing when the key is good; with login and pwd it says OK or nothing.
func auth(q *request) answer {
	if !q.has("login") && !q.has("pwd") {
		return none()
	}
	u, ok := q.state.user(q.value("login"))
	if !ok || !u.Active || u.Pwd == "" || u.Pwd != q.value("pwd") {
		return none()
	}
	return word("OK")
}
