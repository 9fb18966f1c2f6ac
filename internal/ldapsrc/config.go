package ldapsrc

import (
	"context"
	"net"
	"time"

	"ppms-syncd/internal/reconcile"
	"ppms-syncd/internal/secret"
)

// Config says which directory is read, how, and what of it.
type Config struct {
	// URLs are tried in turn until one server can be read from; that server is then read alone. Schemes are ldaps, ldap
	// and ldapi.
	URLs     []string
	StartTLS bool // on ldap:// URLs
	TLS      TLS
	Bind     Bind
	Timeout  time.Duration // of the whole read, connecting included; 0 is none
	PageSize uint32        // entries per page; 0 is 500
	Users    UserSearch
	Groups   GroupSearch
	Kind     Kind
	// Now is the clock that accounts expire by; nil is that of the machine.
	Now func() time.Time
	// Referrals are references to other servers that may be left unread, as LDAP URLs. One without a DN stands for every
	// reference to that host.
	Referrals []string
	// Dial opens the socket; nil is the machine's own way.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Canaries are DNs of people or groups that every complete read must return, with all that is mandatory of them.
	Canaries []string
}

// TLS says whom to trust and who we are. Nothing turns verification off.
type TLS struct {
	CAFile     string // PEM; "" trusts what the system trusts
	ServerName string // name in the server's certificate; "" is the URL's host
	CertFile   string // PEM of the client, for an external bind
	KeyFile    string
}

// BindMethod is how we prove who we are.
type BindMethod string

// The bind methods.
const (
	Simple    BindMethod = "simple"    // DN and password
	External  BindMethod = "external"  // client certificate, or the user who opens an ldapi socket
	Anonymous BindMethod = "anonymous" // not at all
)

// BindMethods are the names that the configuration may use.
func BindMethods() []BindMethod { return []BindMethod{Simple, External, Anonymous} }

// Bind is the account that reads.
type Bind struct {
	Method   BindMethod
	DN       string
	Password secret.File // read anew for each read
}

// UserSearch finds the people.
type UserSearch struct {
	Base   string
	Filter string
	ID     string // attribute of the stable id
	// Disabled says who may no longer work; nil is nobody.
	Disabled *Condition
}

// GroupSearch finds the groups. Without a Base none are read, and nothing may ask for them.
type GroupSearch struct {
	Base   string
	Filter string
	Name   string // attribute of the name
	Member string // attribute with the members' DNs
	Nested bool   // members of a group in a group are members, too
}

// Mapping says what a person is made of.
type Mapping struct {
	Login  Value
	Fields [reconcile.NumFields]Value // a zero Value is not mapped
	// Create says who gets an account; nil is everybody.
	Create       *Condition
	CreateNobody bool
	Rules        []RuleSource // in the order of reconcile.Settings.Rules
}

// RuleSource says whom a rule gives something: the members of a group, or whoever meets a condition.
type RuleSource struct {
	Name  string
	Group string // name, case ignored, or DN
	When  *Condition
}
