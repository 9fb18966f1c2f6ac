package reconcile

// Policy says which changes a facility wants made. What it leaves out is listed in the plan as withheld.
type Policy string

// The policies, each with all that the one before has.
const (
	CreateOnly Policy = "create-only" // new accounts
	UpsertOnly Policy = "upsert-only" // also fields, grants and the reactivation of what we deactivated
	Sync       Policy = "sync"        // also removals
)

// Policies are the names that the configuration may use.
func Policies() []Policy { return []Policy{CreateOnly, UpsertOnly, Sync} }

// Allows says whether the policy makes the change.
func (p Policy) Allows(c *Change) bool {
	switch p {
	case CreateOnly:
		return c.Kind == NewUser
	case UpsertOnly:
		return !c.Removal()
	case Sync:
		return true
	}
	return false
}
