package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ppms-syncd/internal/daemon"
)

// ppmsCommand is the toolbox: PUMAPI by hand. docs/toolbox.md lists its commands.
func (p *program) ppmsCommand() *cobra.Command {
	form, yes := daemon.TableForm, false
	t := &toolbox{p, &form, &yes}
	c := parent(
		"ppms", "Ask PPMS by hand, and change it",
		t.users(), t.user(), t.emails(), t.admins(), t.groups(), t.group(), t.groupUsers(), t.systems(), t.rights(),
		parent("right", "Change rights", t.rightSet()), t.experience(), t.booking(false), t.booking(true), t.runningSheet(), t.orders(),
		parent("order", "Place orders", t.orderCreate()), t.invoices(), t.invoice(), t.services(), t.projects(), t.bcodes(), t.snapshot(),
	)
	c.Long = "PUMAPI for people and scripts: tables on a terminal, --output json or csv for programs. About the sync nothing needs to be\n" +
		"configured. What is written is journalled in the ledger as manual: it counts as staff's, and no run takes it back. Whatever\n" +
		"writes shows what it would write, asks, and reads it back; scripts say --yes."
	oneOf(c, c.PersistentFlags(), (*string)(&form), "output", "form of the result", string(daemon.TableForm), string(daemon.JSONForm), string(daemon.CSVForm))
	c.PersistentFlags().BoolVar(&yes, "yes", false, "do not ask before something is written")
	return c
}

// toolbox makes the commands below ppms.
type toolbox struct {
	*program
	form *daemon.Form
	yes  *bool
}

// asks makes a command that reads. Its arguments are those of its usage line.
func (t *toolbox) asks(use, short string, f func(ctx context.Context, b *daemon.Toolbox, args []string) error) *cobra.Command {
	c := t.command(use, short)
	c.RunE = func(c *cobra.Command, args []string) error {
		return t.withoutSync(func(ctx context.Context, a *daemon.App) error {
			return a.Toolbox(ctx, *t.form, func(ctx context.Context, b *daemon.Toolbox) error { return f(ctx, b, args) })
		})(c, args)
	}
	return c
}

// writes makes a command that writes, with what goes with every write.
func (t *toolbox) writes(use, short string, o *daemon.WriteOptions, f func(ctx context.Context, a *daemon.App, args []string) error) *cobra.Command {
	c := t.command(use, short)
	c.RunE = func(c *cobra.Command, args []string) error {
		o.Form, o.Yes = *t.form, *t.yes
		return t.withoutSync(func(ctx context.Context, a *daemon.App) error { return f(ctx, a, args) })(c, args)
	}
	return c
}

// command knows how many arguments there must be, and completes the first where it is a login. No other is a file.
func (t *toolbox) command(use, short string) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: noArgs, ValidArgsFunction: cobra.NoFileCompletions}
	names := strings.Fields(use)[1:]
	switch {
	case len(names) == 0:
	case strings.HasPrefix(names[0], "["):
		c.Args = atMostOne
	default:
		c.Args = exactly(names...)
	}
	if len(names) > 0 && names[0] == "LOGIN" {
		c.ValidArgsFunction = t.complete((*daemon.App).Logins)
	}
	return c
}

// loginFlag adds --login, and completes it.
func (t *toolbox) loginFlag(c *cobra.Command, into *string, usage string) {
	c.Flags().StringVar(into, "login", "", usage)
	t.completeFlag(c, "login", (*daemon.App).Logins)
}

// number reads an argument that must be one.
func number(what, text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		return 0, misuse(fmt.Errorf("%q is no %s: give a number", text, what))
	}
	return n, nil
}

// facilityArg is the core facility of an argument that may be left out; 0: all of them.
func facilityArg(args []string) (int, error) {
	if len(args) == 0 {
		return 0, nil
	}
	return number("core facility", args[0])
}

// activity is --active and --inactive.
type activity struct{ active, inactive bool }

func (a *activity) flags(c *cobra.Command) {
	c.Flags().BoolVar(&a.active, "active", false, "only active ones")
	c.Flags().BoolVar(&a.inactive, "inactive", false, "only inactive ones")
	c.MarkFlagsMutuallyExclusive("active", "inactive")
}

func (a *activity) wanted() daemon.Activity {
	switch {
	case a.active:
		return daemon.OnlyActive
	case a.inactive:
		return daemon.OnlyInactive
	}
	return daemon.AnyActivity
}

func (t *toolbox) users() *cobra.Command {
	var active activity
	var details bool
	c := t.asks("users", "List the users", func(ctx context.Context, b *daemon.Toolbox, _ []string) error {
		return b.Users(ctx, active.wanted(), details)
	})
	active.flags(c)
	c.Flags().BoolVar(&details, "details", false, "with what PPMS knows of each, which is one call a user")
	return c
}

func (t *toolbox) user() *cobra.Command {
	var id bool
	c := t.asks("user LOGIN", "Show one user; exit code 1 if there is none", func(ctx context.Context, b *daemon.Toolbox, args []string) error {
		return b.User(ctx, args[0], id)
	})
	c.Flags().BoolVar(&id, "userid", false, "with PPMS's number of the user")
	c.AddCommand(t.userCreate())
	return c
}

// fields adds a flag for each field; the result has those that were given.
func fields(c *cobra.Command, usage map[string]string) func() map[string]string {
	for name, text := range usage {
		c.Flags().String(name, "", text)
	}
	return func() map[string]string {
		given := map[string]string{}
		c.Flags().Visit(func(f *pflag.Flag) {
			if _, ok := usage[f.Name]; ok {
				given[f.Name] = f.Value.String()
			}
		})
		return given
	}
}

// required says which flags a command cannot do without.
func required(c *cobra.Command, names ...string) {
	for _, name := range names {
		if c.Flag(name).Value.String() == "" {
			c.Flag(name).Usage += " (required)"
		}
	}
	args := c.Args
	c.Args = func(c *cobra.Command, given []string) error {
		missing := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return c.Flag(name).Value.String() != "" })
		if len(missing) > 0 {
			return misuse(fmt.Errorf("what is missing: --%s; see %s --help", strings.Join(missing, ", --"), c.CommandPath()))
		}
		return args(c, given)
	}
}

func (t *toolbox) userCreate() *cobra.Command {
	var o daemon.NewUserOptions
	var given func() map[string]string
	var password, bcode bool
	c := t.writes("create LOGIN", "Make a new user", &o.WriteOptions, func(ctx context.Context, a *daemon.App, args []string) error {
		o.Login, o.Fields = args[0], given()
		if password {
			o.Fields["mustchpwd"] = "true"
		}
		if bcode {
			o.Fields["mustchbcode"] = "true"
		}
		return a.CreateUser(ctx, o)
	})
	c.Long = "Makes a new, active user. A login that PPMS has already is refused, since PPMS would overwrite that user, and a unit that PPMS\n" +
		"does not know, since PPMS would make a group of that name; so is an address that somebody is known to have. Without a password\n" +
		"nobody can log in with one."
	c.Example = "  ppms-syncd ppms user create jdoe --lname Doe --fname Jane --email jane.doe@example.org --unitlogin smithlab"
	c.ValidArgsFunction = cobra.NoFileCompletions
	given = fields(c, map[string]string{
		"lname": "last name", "fname": "first name", "email": "e-mail address", "unitlogin": "login of the group", "phone": "phone number",
		"bcode": "account number", "affiliation": "affiliation",
	})
	required(c, "lname", "fname", "email", "unitlogin")
	c.Flags().StringVar(&o.PasswordFile, "password-file", "", "`file` with the user's password, which is neither journalled nor logged")
	c.Flags().BoolVar(&password, "must-change-password", false, "the user must choose another password at the first login")
	c.Flags().BoolVar(&bcode, "must-change-bcode", false, "the user must give an account number at the first login")
	return c
}

func (t *toolbox) emails() *cobra.Command {
	var active activity
	c := t.asks("emails", "List e-mail addresses, of all users or of some; one call a user", func(ctx context.Context, b *daemon.Toolbox, args []string) error {
		return b.Emails(ctx, args, active.wanted())
	})
	c.Use, c.Args = "emails [LOGIN…]", cobra.ArbitraryArgs
	c.ValidArgsFunction = func(c *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return t.complete((*daemon.App).Logins)(c, nil, typed)
	}
	active.flags(c)
	return c
}

func (t *toolbox) admins() *cobra.Command {
	return t.asks("admins", "List PPMS's administrators", func(ctx context.Context, b *daemon.Toolbox, _ []string) error { return b.Admins(ctx) })
}

func (t *toolbox) groups() *cobra.Command {
	var active activity
	c := t.asks("groups", "List the groups (units)", func(ctx context.Context, b *daemon.Toolbox, _ []string) error {
		return b.Groups(ctx, active.wanted())
	})
	active.flags(c)
	return c
}

func (t *toolbox) group() *cobra.Command {
	c := t.asks("group UNITLOGIN", "Show one group; exit code 1 if there is none", func(ctx context.Context, b *daemon.Toolbox, args []string) error {
		return b.Group(ctx, args[0])
	})
	c.AddCommand(t.groupCreate())
	return c
}

func (t *toolbox) groupCreate() *cobra.Command {
	var o daemon.GroupOptions
	var given func() map[string]string
	var external bool
	c := t.writes("create UNITLOGIN", "Make a new group", &o.WriteOptions, func(ctx context.Context, a *daemon.App, args []string) error {
		o.Unitlogin, o.Fields = args[0], given()
		if external {
			o.Fields["ext"] = "true"
		}
		return a.CreateGroup(ctx, o)
	})
	c.Long = "Makes a new, active group. A unitlogin that PPMS has already is refused, since PPMS would overwrite that group."
	given = fields(c, map[string]string{
		"unitname": "name", "headname": "name of its head", "heademail": "e-mail address of its head", "unitbcode": "account number",
		"department": "department", "institution": "institution", "address": "postal address", "affiliation": "affiliation",
	})
	c.Flags().BoolVar(&external, "external", false, "the group is not of the institute")
	return c
}

func (t *toolbox) groupUsers() *cobra.Command {
	var active activity
	c := t.asks("group-users UNITLOGIN", "List the users of a group", func(ctx context.Context, b *daemon.Toolbox, args []string) error {
		return b.GroupUsers(ctx, args[0], active.wanted())
	})
	active.flags(c)
	return c
}

func (t *toolbox) systems() *cobra.Command {
	var f daemon.SystemFilter
	c := t.asks("systems", "List the systems", func(ctx context.Context, b *daemon.Toolbox, _ []string) error { return b.Systems(ctx, f) })
	c.Flags().StringVar(&f.Room, "room", "", "only those whose room has this `text` in it")
	c.Flags().StringArrayVar(&f.Names, "name", nil, "only those whose name has this `text` in it; may be repeated")
	c.Flags().BoolVar(&f.Active, "active", false, "only active ones")
	return c
}

func (t *toolbox) rights() *cobra.Command {
	var f daemon.RightsFilter
	c := t.asks("rights", "List who may use a system, or which systems somebody may use", func(ctx context.Context, b *daemon.Toolbox, _ []string) error {
		return b.Rights(ctx, f)
	})
	c.Use = "rights --system SYSTEM | --login LOGIN"
	c.Flags().StringVar(&f.System, "system", "", "id or whole name of the `system`")
	t.loginFlag(c, &f.Login, "`login` of the user")
	c.Flags().BoolVar(&f.Access, "access", false, "leave out level D, which gives no access")
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) == 0 && (f.System == "") == (f.Login == "") {
			return misuse(fmt.Errorf("give either --system or --login; see %s --help", c.CommandPath()))
		}
		return noArgs(c, args)
	}
	return c
}

func (t *toolbox) rightSet() *cobra.Command {
	var o daemon.RightOptions
	c := t.writes(
		"set LOGIN SYSTEM LEVEL", "Give somebody a level on a system: D (none), N, A or S", &o.WriteOptions,
		func(ctx context.Context, a *daemon.App, args []string) error {
			o.Login, o.System, o.Level = args[0], args[1], args[2]
			return a.SetRight(ctx, o)
		},
	)
	c.Long = "Gives somebody a level on a system, by its id or whole name: D takes the right away, N is novice, A autonomous, S superuser. The\n" +
		"right counts as given by staff: no run takes it back. A superuser is lowered only with --lower-superuser."
	c.Example = "  ppms-syncd ppms right set jdoe 12 A\n  ppms-syncd ppms right set jdoe \"SP8 upright\" D --yes"
	c.Flags().BoolVar(&o.LowerSuperuser, "lower-superuser", false, "also where the user is a superuser (S) of the system")
	logins := c.ValidArgsFunction
	c.ValidArgsFunction = func(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 2 {
			return []string{"D\tdeactivated: no right", "N\tnovice", "A\tautonomous", "S\tsuperuser"}, cobra.ShellCompDirectiveNoFileComp
		}
		return logins(c, args, typed)
	}
	return c
}

func (t *toolbox) experience() *cobra.Command {
	var login, system string
	c := t.asks("experience", "List how much people have used systems", func(ctx context.Context, b *daemon.Toolbox, _ []string) error {
		return b.Experience(ctx, login, system)
	})
	t.loginFlag(c, &login, "only this user's `login`")
	c.Flags().StringVar(&system, "system", "", "only this `system`, by id or whole name")
	return c
}

func (t *toolbox) booking(next bool) *cobra.Command {
	use, short := "booking SYSTEM", "Show who has a system now, and until when"
	if next {
		use, short = "next-booking SYSTEM", "Show who has a system next, and from when"
	}
	return t.asks(use, short, func(ctx context.Context, b *daemon.Toolbox, args []string) error {
		return b.Booking(ctx, args[0], next)
	})
}

func (t *toolbox) runningSheet() *cobra.Command {
	var day, room string
	c := t.asks("running-sheet [FACILITY]", "List a day's bookings", func(ctx context.Context, b *daemon.Toolbox, args []string) error {
		in, err := facilityArg(args)
		if err != nil {
			return err
		}
		at := b.Today()
		if day != "" {
			if at, err = time.Parse(time.DateOnly, day); err != nil {
				return misuse(fmt.Errorf("--day %q is no date: give it as 2026-03-31", day))
			}
		}
		return b.RunningSheet(ctx, in, at, room)
	})
	c.Long = "Lists a day's bookings in a core facility, or in all. PPMS names people and systems by their names; the logins and ids are sought for them.\n" +
		"Where two people have one name both logins are shown, and which of them it is PPMS does not say."
	c.Flags().StringVar(&day, "day", "", "`date` as 2026-03-31 (default: today at the facility)")
	c.Flags().StringVar(&room, "room", "", "only rooms with this `text` in their name")
	return c
}

func (t *toolbox) orders() *cobra.Command {
	var ref int
	var lines bool
	c := t.asks("orders", "List the orders", func(ctx context.Context, b *daemon.Toolbox, _ []string) error { return b.Orders(ctx, ref, lines) })
	c.Flags().IntVar(&ref, "ref", 0, "only the order with this `number`")
	c.Flags().BoolVar(&lines, "lines", false, "what was ordered, one row each; one call an order")
	return c
}

func (t *toolbox) orderCreate() *cobra.Command {
	var o daemon.OrderOptions
	c := t.writes("create", "Place an order", &o.WriteOptions, func(ctx context.Context, a *daemon.App, _ []string) error { return a.CreateOrder(ctx, o) })
	c.Example = "  ppms-syncd ppms order create --service 302 --login jdoe --quantity 2 --accepted"
	t.loginFlag(c, &o.Login, "`login` of who orders")
	f := c.Flags()
	f.StringVar(&o.Service, "service", "", "`id` of the service, see `ppms services`")
	f.StringVar(&o.Quantity, "quantity", "", "how many, such as 2 or 1.5")
	f.StringVar(&o.Project, "project", "", "`ref` of the project that pays")
	f.BoolVar(&o.Accepted, "accepted", false, "accept the order at once")
	f.BoolVar(&o.Completed, "completed", false, "complete it at once; with --accepted only")
	f.StringVar(&o.CompletedAt, "completed-at", "", "`time` of completion at the facility, such as '2026-03-31 17:00:00'")
	f.StringVar(&o.Comments, "comments", "", "comments of the user")
	f.StringVar(&o.StaffComments, "staff-comments", "", "comments of staff")
	f.StringVar(&o.Bcode, "bcode", "", "account number that pays")
	required(c, "service", "login", "quantity")
	return c
}

func (t *toolbox) invoices() *cobra.Command {
	var charges bool
	c := t.asks("invoices", "List the invoices", func(ctx context.Context, b *daemon.Toolbox, _ []string) error { return b.Invoices(ctx, charges) })
	c.Flags().BoolVar(&charges, "charges", false, "with what each account number pays; one call an invoice")
	return c
}

func (t *toolbox) invoice() *cobra.Command {
	var o daemon.InvoiceOptions
	c := t.asks("invoice ID", "Show what an invoice charges to which account number, or its lines", func(ctx context.Context, b *daemon.Toolbox, args []string) error {
		o.Details = o.Details || o.Bcode != "" || o.Assistants
		return b.Invoice(ctx, args[0], o)
	})
	c.Flags().BoolVar(&o.Details, "details", false, "its lines: what was used, by whom, and what it costs")
	c.Flags().StringVar(&o.Bcode, "bcode", "", "only the lines that this account `number` pays")
	c.Flags().BoolVar(&o.Assistants, "assistants", false, "the lines with who assisted")
	return c
}

func (t *toolbox) services() *cobra.Command {
	return t.asks("services [FACILITY]", "List what core facilities offer beside their systems", func(ctx context.Context, b *daemon.Toolbox, args []string) error {
		in, err := facilityArg(args)
		if err != nil {
			return err
		}
		return b.Services(ctx, in)
	})
}

func (t *toolbox) projects() *cobra.Command {
	var f daemon.ProjectFilter
	c := t.asks("projects", "List the projects, or the users of one", func(ctx context.Context, b *daemon.Toolbox, _ []string) error { return b.Projects(ctx, f) })
	t.loginFlag(c, &f.Login, "only those that the user with this `login` is in")
	c.Flags().IntVar(&f.Users, "users", 0, "the users of the project with this `ref` instead")
	c.MarkFlagsMutuallyExclusive("login", "users")
	return c
}

func (t *toolbox) bcodes() *cobra.Command {
	return t.asks("bcodes", "List the account numbers, and what was charged to them", func(ctx context.Context, b *daemon.Toolbox, _ []string) error {
		return b.Bcodes(ctx)
	})
}

func (t *toolbox) snapshot() *cobra.Command {
	var o daemon.SnapshotOptions
	c := t.asks("snapshot", "Write down users, units, systems and rights for the simulator", func(ctx context.Context, b *daemon.Toolbox, _ []string) error {
		return b.Snapshot(ctx, o)
	})
	c.Long = "Writes the users, units, systems, rights and administrators of PPMS as JSON, which `sim --seed`, `plan --against` and\n" +
		"`apply --against` take. It asks once for each user, unit and system, and is JSON whatever --output says. The file is for your\n" +
		"eyes only; with --pseudonymise names, logins, addresses and numbers are replaced for good, so that it can be passed on."
	c.Example = "  ppms-syncd ppms snapshot -o snapshot.json\n  ppms-syncd plan --against snapshot.json"
	c.Flags().StringVarP(&o.File, "out", "o", "", "write it to this `file`, readable by its owner only")
	c.Flags().BoolVar(&o.Pseudonymise, "pseudonymise", false, "replace what names people; levels, states, dates and systems stay")
	return c
}
