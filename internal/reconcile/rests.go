package reconcile

// RestsOn lists the accounts, in the order of the input, on whose records a plan rests. What a run knows of them must have been
// read in that run, not remembered from an earlier one:
//
//   - those that would be written;
//   - those that would be linked, and those that are said not to be the person's: who is who is decided once;
//   - those that hold an address which somebody else is to have;
//   - those who have the last name of somebody that is to get an address. PUMAPI can only be asked whose record it is, not whose
//     address, so that one which staff have just given to another account is not found for sure; where it is likely, it is looked for.
//
// Everything else that the plan says is that something need not be done, and a record that changed meanwhile is found when its
// turn comes.
func RestsOn(in Input, plan *Plan, seen *Observations) []string {
	keys := map[Key]bool{}
	for _, changes := range [][]Change{plan.Changes, plan.Withheld} {
		for i := range changes {
			keys[KeyOf(changes[i].Login)] = true
		}
	}
	for i := range seen.Linked {
		keys[KeyOf(seen.Linked[i].Login)] = true
	}
	taken := map[Key]bool{} // who cannot have their address
	for i := range plan.Issues {
		switch issue := &plan.Issues[i]; issue.Kind { //nolint:exhaustive // the others rest on lists, rights or the directory
		case IdentityMismatch:
			keys[KeyOf(issue.Login)] = true
		case EmailTaken:
			taken[KeyOf(issue.Login)] = true
		}
	}
	addresses, names := in.addressesOf(taken, seen.Linked), in.namesOf(plan.Changes)
	var logins []string
	for i := range in.PPMS.Accounts {
		a := &in.PPMS.Accounts[i]
		key := KeyOf(a.Login)
		if keys[key] || taken[key] || len(addresses) > 0 && addresses[loose(a.Fields[Email])] || len(names) > 0 && names[loose(a.Fields[Lname])] {
			logins = append(logins, a.Login)
		}
	}
	return logins
}

// namesOf are the last names of those who are to get an address, those that they have and those that they will have.
func (in *Input) namesOf(changes []Change) map[string]bool {
	names, logins := map[string]bool{}, map[Key]bool{}
	for i := range changes {
		if _, gets := changes[i].Fields[Email.String()]; gets {
			names[loose(changes[i].Fields[Lname.String()].To)] = true
			logins[KeyOf(changes[i].Login)] = true
		}
	}
	for i := range in.PPMS.Accounts {
		if a := &in.PPMS.Accounts[i]; len(logins) > 0 && logins[KeyOf(a.Login)] {
			names[loose(a.Fields[Lname])] = true
		}
	}
	delete(names, "")
	return names
}

// addressesOf are the e-mail addresses that the directory has of the people of these accounts, or of these logins where there is none.
func (in *Input) addressesOf(accounts map[Key]bool, fresh []Link) map[string]bool {
	if len(accounts) == 0 {
		return nil
	}
	linked := map[string]bool{} // by stable id: the entry may have another login
	for _, links := range [][]Link{in.Memory.Links, fresh} {
		for i := range links {
			linked[links[i].ID] = linked[links[i].ID] || accounts[KeyOf(links[i].Login)]
		}
	}
	addresses := map[string]bool{}
	for i := range in.Directory.People {
		p := &in.Directory.People[i]
		if !accounts[KeyOf(p.Login)] && !linked[p.ID] {
			continue
		}
		for _, email := range p.Fields[Email] {
			if email = loose(email); email != "" {
				addresses[email] = true
			}
		}
	}
	return addresses
}
