package config

import "ppms-syncd/internal/reconcile"

// Config is a configuration file with its defaults filled in. The tags are what the file may look like: json names the key,
// jsonschema holds its limits, jsonschema_description its meaning. A key without "required" may be left out.
type Config struct {
	Schedule   string           `json:"schedule" jsonschema:"minLength=1" jsonschema_description:"When runs start: five cron fields, a word such as @hourly, or @every with a duration. Evaluated in time_zone."`
	TimeZone   string           `json:"time_zone" jsonschema:"minLength=1" jsonschema_description:"IANA name of the time zone of the schedule."`
	RunTimeout Duration         `json:"run_timeout" jsonschema_description:"Longest time that one run may take."`
	Policy     reconcile.Policy `json:"policy" jsonschema:"required,enum=create-only,enum=upsert-only,enum=sync" jsonschema_description:"Which changes are made. create-only: new accounts. upsert-only: also updates, grants and the reactivation of what ppms-syncd deactivated. sync: also removals."`
	DryRun     bool             `json:"dry_run" jsonschema_description:"Write nothing to PPMS: apply makes a plan and says so."`
	LDAP       LDAP             `json:"ldap" jsonschema:"required" jsonschema_description:"The directory that is read."`
	PPMS       PPMS             `json:"ppms" jsonschema:"required" jsonschema_description:"The PPMS that is kept in step."`
	Accounts   Accounts         `json:"accounts" jsonschema:"required" jsonschema_description:"Who gets an account, and what stands in it."`
	Leavers    Leavers          `json:"leavers" jsonschema_description:"When somebody who left is deactivated (policy sync)."`
	Rights     []Rule           `json:"rights" jsonschema_description:"Who gets which right on which systems. If several rules fit, the highest level counts."`
	Guards     Guards           `json:"guards" jsonschema_description:"How many people may be affected within 24 hours without approval."`
	Ledger     Ledger           `json:"ledger" jsonschema_description:"Where ppms-syncd remembers what it manages and what it did."`
	HTTP       HTTP             `json:"http" jsonschema_description:"The listener for metrics and health."`
	Log        Log              `json:"log" jsonschema_description:"What is logged, and how."`

	// Warnings are what is odd about the file but can be lived with.
	Warnings Problems `json:"-"`

	dirs     Dirs
	compiled compiled
}

// LDAP says which directory is read, and how.
type LDAP struct {
	Profile   string      `json:"profile" jsonschema:"enum=openldap,enum=posix,enum=active-directory,enum=389ds,enum=freeipa" jsonschema_description:"Kind of directory: it decides the defaults of users and groups, and what else is known of it."`
	URLs      []string    `json:"urls" jsonschema:"required,minItems=1,minLength=1" jsonschema_description:"Servers, tried in turn; a run reads from one. ldaps://host, ldap://host with start_tls, or ldapi:///path/of/socket."`
	StartTLS  bool        `json:"start_tls" jsonschema_description:"Start TLS on ldap:// connections. Without it ldap:// is refused unless the host is loopback."`
	TLS       TLS         `json:"tls" jsonschema_description:"Whom to trust, and who we are. Certificates are always verified."`
	Bind      Bind        `json:"bind" jsonschema_description:"The account that reads."`
	Timeout   Duration    `json:"timeout" jsonschema_description:"Longest time for the whole read."`
	PageSize  int         `json:"page_size" jsonschema:"minimum=1,maximum=2147483647" jsonschema_description:"Entries per page."`
	Users     UserSearch  `json:"users" jsonschema:"required" jsonschema_description:"The search that finds the people."`
	Groups    GroupSearch `json:"groups" jsonschema_description:"The search that finds the groups. Needed as soon as a rule or an expression asks for groups."`
	Referrals []string    `json:"referrals" jsonschema:"minLength=1" jsonschema_description:"References to other servers, as LDAP URLs, that may be left unread. Any other makes the read incomplete."`
	Canaries  []string    `json:"canaries" jsonschema:"minLength=1" jsonschema_description:"DNs that every complete read must return."`
}

// TLS is the client's side of TLS.
type TLS struct {
	CAFile     string `json:"ca_file" jsonschema_description:"PEM file of the authorities to trust; empty: those of the system."`
	ServerName string `json:"server_name" jsonschema_description:"Name in the server's certificate; empty: the host of the URL."`
	CertFile   string `json:"cert_file" jsonschema_description:"PEM file of the client's certificate, for method external."`
	KeyFile    string `json:"key_file" jsonschema_description:"PEM file of the client's key. Like all secrets it is refused if others may touch it."`
}

// Bind is who reads the directory.
type Bind struct {
	Method       string `json:"method" jsonschema:"enum=simple,enum=external,enum=anonymous" jsonschema_description:"simple: DN and password. external: client certificate, or the user who opens an ldapi socket. anonymous: neither."`
	DN           string `json:"dn" jsonschema_description:"DN of the account, for method simple."`
	PasswordFile string `json:"password_file" jsonschema_description:"File with the password, for method simple. A relative path is sought in $CREDENTIALS_DIRECTORY, then beside the configuration."`
}

// UserSearch finds the people.
type UserSearch struct {
	Base     string `json:"base" jsonschema:"required,minLength=1" jsonschema_description:"DN below which people are."`
	Filter   string `json:"filter" jsonschema:"minLength=1" jsonschema_description:"LDAP filter that people match."`
	ID       string `json:"id" jsonschema:"minLength=1" jsonschema_description:"Attribute with the stable id, which outlives renames."`
	Disabled Expr   `json:"disabled" jsonschema_description:"Condition that is true for people who may no longer work."`
}

// GroupSearch finds the groups.
type GroupSearch struct {
	Base   string `json:"base" jsonschema_description:"DN below which groups are; empty: no groups are read."`
	Filter string `json:"filter" jsonschema:"minLength=1" jsonschema_description:"LDAP filter that groups match."`
	Name   string `json:"name" jsonschema:"minLength=1" jsonschema_description:"Attribute with the group's name."`
	Member string `json:"member" jsonschema:"minLength=1" jsonschema_description:"Attribute with the group's members: their DNs, or their uids if it is memberUid."`
	Nested bool   `json:"nested" jsonschema_description:"Members of a group in a group are members, too."`
}

// PPMS says where PUMAPI answers, and how hard it may be asked.
type PPMS struct {
	URL               string   `json:"url" jsonschema:"required,minLength=1" jsonschema_description:"URL of PUMAPI, https unless the host is loopback."`
	APIKeyFile        string   `json:"api_key_file" jsonschema:"required,minLength=1" jsonschema_description:"File with the API key. A relative path is sought in $CREDENTIALS_DIRECTORY, then beside the configuration."`
	Timeout           Duration `json:"timeout" jsonschema_description:"Longest time for one call."`
	Concurrency       int      `json:"concurrency" jsonschema:"minimum=1,maximum=100" jsonschema_description:"Calls at the same time."`
	RequestsPerSecond float64  `json:"requests_per_second" jsonschema:"exclusiveMinimum=0,maximum=10000" jsonschema_description:"Calls per second, all together."`
	VerifyEvery       Duration `json:"verify_every" jsonschema_description:"Each account's record is read again at least this often; 0s: in every run."`
	TimeZone          string   `json:"time_zone" jsonschema:"minLength=1" jsonschema_description:"IANA name of the facility's time zone, for bookings; without it that of the schedule."`
}

// Accounts says who gets an account, and what stands in it.
type Accounts struct {
	Create        Create     `json:"create" jsonschema_description:"Who gets a new account: true, false, or a condition. It makes nobody a leaver."`
	Attributes    Attributes `json:"attributes" jsonschema:"required" jsonschema_description:"What each PPMS field comes from."`
	Authoritative []string   `json:"authoritative" jsonschema:"enum=lname,enum=fname,enum=email,enum=phone,enum=bcode,enum=affiliation,enum=unitlogin" jsonschema_description:"Fields that are kept as the directory has them, too, after the account was made. Without this key: those of lname, fname, email and phone that are mapped."`
	LoginPattern  string     `json:"login_pattern" jsonschema:"minLength=1" jsonschema_description:"Regular expression (RE2) of good logins; anybody else is held."`
	Protect       []string   `json:"protect" jsonschema:"minLength=1" jsonschema_description:"Logins that are never written, or /regular expressions/ of such; case does not count."`
}

// Attributes says what each PPMS field comes from.
type Attributes struct {
	Login       Source `json:"login" jsonschema:"required" jsonschema_description:"Login name."`
	Lname       Source `json:"lname" jsonschema:"required" jsonschema_description:"Last name."`
	Fname       Source `json:"fname" jsonschema:"required" jsonschema_description:"First name."`
	Email       Source `json:"email" jsonschema:"required" jsonschema_description:"E-mail address."`
	Phone       Source `json:"phone" jsonschema_description:"Phone number."`
	Bcode       Source `json:"bcode" jsonschema_description:"Account number that bookings are billed to."`
	Affiliation Source `json:"affiliation" jsonschema_description:"Affiliation."`
	Unitlogin   Source `json:"unitlogin" jsonschema:"required" jsonschema_description:"Login of the PPMS group that the person belongs to. PPMS must know it."`
}

// Leavers says when somebody who left is deactivated.
type Leavers struct {
	Grace         Duration `json:"grace" jsonschema_description:"How long a person must have been missing."`
	DisabledGrace Duration `json:"disabled_grace" jsonschema_description:"How long a person must have been disabled or expired."`
	Confirmations int      `json:"confirmations" jsonschema:"minimum=1" jsonschema_description:"How many complete reads must have shown it."`
}

// Rule gives members of a group, or whoever meets a condition, a level on systems.
type Rule struct {
	Name    string     `json:"name" jsonschema:"required,minLength=1" jsonschema_description:"Name of the rule, in plans and in the ledger; each only once."`
	Group   string     `json:"group" jsonschema:"minLength=1" jsonschema_description:"Name or DN of the group. Either this or when."`
	When    When       `json:"when" jsonschema_description:"CEL condition of the people. Either this or group."`
	Systems []Selector `json:"systems" jsonschema:"required,minItems=1" jsonschema_description:"The systems: ids, or names and types with * and ?."`
	Level   string     `json:"level" jsonschema:"required,enum=N,enum=A" jsonschema_description:"N: novice. A: autonomous."`
}

// Guards limits what happens without somebody's approval.
type Guards struct {
	Creations     Limit `json:"creations" jsonschema_description:"New accounts."`
	Updates       Limit `json:"updates" jsonschema_description:"People whose fields change."`
	Grants        Limit `json:"grants" jsonschema_description:"People who get a right."`
	Revocations   Limit `json:"revocations" jsonschema_description:"People who lose a right."`
	Deactivations Limit `json:"deactivations" jsonschema_description:"People who are deactivated."`
	MinPeople     int   `json:"min_people" jsonschema:"minimum=0" jsonschema_description:"Fewest people that the directory may have."`
	MaxShrink     int   `json:"max_shrink" jsonschema:"minimum=0,maximum=100" jsonschema_description:"Percent of the people or groups that may be missing since the last accepted read."`
}

// Limit is max(floor, min(count, percent of the managed active accounts)) people within 24 hours.
type Limit struct {
	Count   int `json:"count" jsonschema:"minimum=0" jsonschema_description:"At most so many people,"`
	Percent int `json:"percent" jsonschema:"minimum=0,maximum=100" jsonschema_description:"and at most so many percent of the managed active accounts,"`
	Floor   int `json:"floor" jsonschema:"minimum=0" jsonschema_description:"but always so many."`
}

// Ledger says where the ledger is.
type Ledger struct {
	Path string   `json:"path" jsonschema:"minLength=1" jsonschema_description:"SQLite file on a local file system, as an absolute path."`
	Keep Duration `json:"keep" jsonschema_description:"How long runs and the journal are kept, at least 24h."`
}

// HTTP says where metrics and health are served.
type HTTP struct {
	Listen        string `json:"listen" jsonschema:"minLength=1" jsonschema_description:"Address and port."`
	WebConfigFile string `json:"web_config_file" jsonschema_description:"File with TLS and authentication settings in the format of the Prometheus exporter toolkit."`
	Plain         bool   `json:"plain" jsonschema_description:"Listen without TLS and authentication where others could reach it: something else, such as a network policy, lets in only those who should."`
}

// Log says what is logged.
type Log struct {
	Level  string `json:"level" jsonschema:"enum=debug,enum=info,enum=warn,enum=error" jsonschema_description:"Least severe messages that are logged."`
	Format string `json:"format" jsonschema:"enum=json,enum=console" jsonschema_description:"json for machines, console for people."`
}
