package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ppms-syncd/internal/daemon"
)

// ppmsCommand is the toolbox: PUMAPI by hand. docs/toolbox.md lists its commands.
func (p *program) ppmsCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "ppms", Short: "Ask PPMS by hand, and change it", Args: noArgs, SuggestionsMinimumDistance: 2,
		Long: "PUMAPI for people and scripts: tables on a terminal, --output json or csv for programs. Of the configuration only the part\n" +
			"about PPMS counts, and for what is written the ledger, which journals it as manual: it counts as staff's, and no run takes it\n" +
			"back. Whatever writes shows what it would write, asks, and reads it back; scripts say --yes.",
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	form := daemon.TableForm
	oneOf(c, c.PersistentFlags(), (*string)(&form), "output", "form of the result", string(daemon.TableForm), string(daemon.JSONForm), string(daemon.CSVForm))
	t := &toolbox{p, &form}
	c.AddCommand(
		t.users(), t.user(), t.emails(), t.admins(), t.groups(), t.group(), t.groupUsers(), t.systems(), t.rights(), t.right(), t.experience(),
		t.booking(false), t.booking(true), t.runningSheet(), t.orders(), t.order(), t.invoices(), t.invoice(), t.services(), t.projects(), t.bcodes(),
		t.snapshot(),
	)
	return c
}

// toolbox makes the commands below ppms.
type toolbox struct {
	*program
	form *daemon.Form
}

// ask is a command that reads.
func (t *toolbox) ask(f func(ctx context.Context, b *daemon.Toolbox, args []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		return t.with(func(ctx context.Context, a *daemon.App) error {
			return a.Toolbox(ctx, *t.form, func(ctx context.Context, b *daemon.Toolbox) error { return f(ctx, b, args) })
		})(c, args)
	}
}

// write is a command that writes.
func (t *toolbox) write(f func(ctx context.Context, a *daemon.App, args []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		return t.with(func(ctx context.Context, a *daemon.App) error { return f(ctx, a, args) })(c, args)
	}
}

// number reads an argument that must be one.
func number(what, text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		return 0, misuse(fmt.Errorf("%q is no %s: give a number", text, what))
	}
	return n, nil
}

// activity adds --active and --inactive.
func activity(c *cobra.Command) func() daemon.Activity {
	active := c.Flags().Bool("active", false, "only active ones")
	inactive := c.Flags().Bool("inactive", false, "only inactive ones")
	c.MarkFlagsMutuallyExclusive("active", "inactive")
	return func() daemon.Activity {
		switch {
		case *active:
			return daemon.OnlyActive
		case *inactive:
			return daemon.OnlyInactive
		}
		return daemon.AnyActivity
	}
}

func yes(c *cobra.Command, into *bool) { c.Flags().BoolVar(into, "yes", false, "do not ask") }

func (t *toolbox) users() *cobra.Command {
	c := &cobra.Command{Use: "users", Short: "List the users", Args: noArgs}
	active := activity(c)
	details := c.Flags().Bool("details", false, "with what PPMS knows of each, which is one call a user")
	c.RunE = t.ask(func(ctx context.Context, b *daemon.Toolbox, _ []string) error {
		return b.Users(ctx, active(), *details)
	})
	return c
}

func (t *toolbox) user() *cobra.Command {
	c := &cobra.Command{Use: "user LOGIN", Short: "Show one user; exit code 1 if there is none", Args: exactly("LOGIN")}
	id := c.Flags().Bool("userid", false, "with PPMS's number of the user")
	c.RunE = t.ask(func(ctx context.Context, b *daemon.Toolbox, args []string) error { return b.User(ctx, args[0], *id) })
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
		for _, name := range names {
			if c.Flag(name).Value.String() == "" {
				return misuse(fmt.Errorf("--%s is missing; see %s --help", name, c.CommandPath()))
			}
		}
		return args(c, given)
	}
}

func (t *toolbox) userCreate() *cobra.Command {
	var o daemon.NewUserOptions
	var password, bcode bool
	c := &cobra.Command{
		Use: "create LOGIN", Short: "Make a new user", Args: exactly("LOGIN"),
		Long: "Makes a new, active user. A login that PPMS has already is refused, since PPMS would overwrite that user, and a unit that PPMS\n" +
			"does not know, since PPMS would make a group of that name. Without a password nobody can log in with one.",
		Example: "  ppms-syncd ppms user create jdoe --lname Doe --fname Jane --email jane.doe@example.org --unitlogin smithlab",
	}
	given := fields(c, map[string]string{
		"lname": "last name", "fname": "first name", "email": "e-mail address", "unitlogin": "login of the group", "phone": "phone number",
		"bcode": "account number", "affiliation": "affiliation",
	})
	required(c, "lname", "fname", "email", "unitlogin")
	c.Flags().StringVar(&o.PasswordFile, "password-file", "", "`file` with the user's password, which is neither journalled nor logged")
	c.Flags().BoolVar(&password, "must-change-password", false, "the user must choose another password at the first login")
	c.Flags().BoolVar(&bcode, "must-change-bcode", false, "the user must give an account number at the first login")
	yes(c, &o.Yes)
	c.RunE = t.write(func(ctx context.Context, a *daemon.App, args []string) error {
		o.Login, o.Fields = args[0], given()
		if password {
			o.Fields["mustchpwd"] = "true"
		}
		if bcode {
			o.Fields["mustchbcode"] = "true"
		}
		return a.CreateUser(ctx, o)
	})
	return c
}

func (t *toolbox) emails() *cobra.Command {
	c := &cobra.Command{Use: "emails [LOGIN…]", Short: "List e-mail addresses, of all users or of some; one call a user"}
	active := activity(c)
	c.RunE = t.ask(func(ctx context.Context, b *daemon.Toolbox, args []string) error {
		return b.Emails(ctx, args, active())
	})
	return c
}

func (t *toolbox) admins() *cobra.Command {
	return &cobra.Command{
		Use: "admins", Short: "List PPMS's administrators", Args: noArgs,
		RunE: t.ask(func(ctx context.Context, b *daemon.Toolbox, _ []string) error { return b.Admins(ctx) }),
	}
}

func (t *toolbox) groups() *cobra.Command {
	c := &cobra.Command{Use: "groups", Short: "List the groups (units)", Args: noArgs}
	active := activity(c)
	c.RunE = t.ask(func(ctx context.Context, b *daemon.Toolbox, _ []string) error { return b.Groups(ctx, active()) })
	return c
}

func (t *toolbox) group() *cobra.Command {
	c := &cobra.Command{
		Use: "group UNITLOGIN", Short: "Show one group; exit code 1 if there is none", Args: exactly("UNITLOGIN"),
		RunE: t.ask(func(ctx context.Context, b *daemon.Toolbox, args []string) error { return b.Group(ctx, args[0]) }),
	}
	c.AddCommand(t.groupCreate())
	return c
}

func (t *toolbox) groupCreate() *cobra.Command {
	var o daemon.GroupOptions
	var external bool
	c := &cobra.Command{
		Use: "create UNITLOGIN", Short: "Make a new group", Args: exactly("UNITLOGIN"),
		Long: "Makes a new, active group. A unitlogin that PPMS has already is refused, since PPMS would overwrite that group.",
	}
	given := fields(c, map[string]string{
		"unitname": "name", "headname": "name of its head", "heademail": "e-mail address of its head", "unitbcode": "account number",
		"department": "department", "institution": "institution", "address": "postal address", "affiliation": "affiliation",
	})
	c.Flags().BoolVar(&external, "external", false, "the group is not of the institute")
	yes(c, &o.Yes)
	c.RunE = t.write(func(ctx context.Context, a *daemon.App, args []string) error {
		o.Unitlogin, o.Fields = args[0], given()
		if external {
			o.Fields["ext"] = "true"
		}
		return a.CreateGroup(ctx, o)
	})
	return c
}

func (t *toolbox) groupUsers() *cobra.Command {
	c := &cobra.Command{Use: "group-users UNITLOGIN", Short: "List the users of a group", Args: exactly("UNITLOGIN")}
	active := activity(c)
	c.RunE = t.ask(func(ctx context.Context, b *daemon.Toolbox, args []string) error {
		return b.GroupUsers(ctx, args[0], active())
	})
	return c
}

func (t *toolbox) systems() *cobra.Command {
	var f daemon.SystemFilter
	c := &cobra.Command{
		Use: "systems", Short: "List the systems", Args: noArgs,
		RunE: t.ask(func(ctx context.Context, b *daemon.Toolbox, _ []string) error { return b.Systems(ctx, f) }),
	}
	c.Flags().StringVar(&f.Room, "room", "", "only those whose room has this `text` in it")
	c.Flags().StringArrayVar(&f.Names, "name", nil, "only those whose name has this `text` in it; may be repeated")
	c.Flags().BoolVar(&f.Active, "active", false, "only active ones")
	return c
}

func (t *toolbox) rights() *cobra.Command {
	var f daemon.RightsFilter
	c := &cobra.Command{
		Use: "rights --system SYSTEM | --login LOGIN", Short: "List who may use a system, or which systems somebody may use", Args: noArgs,
		RunE: t.ask(func(ctx context.Context, b *daemon.Toolbox, _ []string) error {
			if (f.System == "") == (f.Login == "") {
				return misuse(errors.New("give either --system or --login"))
			}
			return b.Rights(ctx, f)
		}),
	}
	c.Flags().StringVar(&f.System, "system", "", "id or whole name of the `system`")
	c.Flags().StringVar(&f.Login, "login", "", "`login` of the user")
	c.Flags().BoolVar(&f.Access, "access", false, "leave out level D, which gives no access")
	return c
}

func (t *toolbox) right() *cobra.Command {
	var o daemon.RightOptions
	set := &cobra.Command{
		Use: "set LOGIN SYSTEM LEVEL", Short: "Give somebody a level on a system: D (none), N, A or S", Args: exactly("LOGIN", "SYSTEM", "LEVEL"),
		Long: "Gives somebody a level on a system, by its id or whole name: D takes the right away, N is novice, A autonomous, S superuser. The\n" +
			"right counts as given by staff: no run takes it back. A superuser is lowered only with --lower-superuser.",
		Example: "  ppms-syncd ppms right set jdoe 12 A\n  ppms-syncd ppms right set jdoe \"SP8 upright\" D --yes",
		RunE: t.write(func(ctx context.Context, a *daemon.App, args []string) error {
			o.Login, o.System, o.Level = args[0], args[1], args[2]
			return a.SetRight(ctx, o)
		}),
	}
	set.Flags().BoolVar(&o.LowerSuperuser, "lower-superuser", false, "also where the user is a superuser (S) of the system")
	yes(set, &o.Yes)
	c := &cobra.Command{
		Use: "right", Short: "Change rights", Args: noArgs, SuggestionsMinimumDistance: 2, RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(set)
	return c
}

func (t *toolbox) experience() *cobra.Command {
	var login, system string
	c := &cobra.Command{
		Use: "experience", Short: "List how much people have used systems", Args: noArgs,
		RunE: t.ask(func(ctx context.Context, b *daemon.Toolbox, _ []string) error {
			return b.Experience(ctx, login, system)
		}),
	}
	c.Flags().StringVar(&login, "login", "", "only this user's `login`")
	c.Flags().StringVar(&system, "system", "", "only this `system`, by id or whole name")
	return c
}

func (t *toolbox) booking(next bool) *cobra.Command {
	c := &cobra.Command{Use: "booking SYSTEM", Short: "Show who has a system now, and until when", Args: exactly("SYSTEM")}
	if next {
		c.Use, c.Short = "next-booking SYSTEM", "Show who has a system next, and from when"
	}
	c.RunE = t.ask(func(ctx context.Context, b *daemon.Toolbox, args []string) error {
		return b.Booking(ctx, args[0], next)
	})
	return c
}

func (t *toolbox) runningSheet() *cobra.Command {
	var day, room string
	c := &cobra.Command{
		Use: "running-sheet FACILITY", Short: "List a day's bookings in a core facility", Args: exactly("FACILITY"),
		Long: "Lists a day's bookings in a core facility. PPMS names people and systems by their names; the logins and ids are sought for them.\n" +
			"Where two people have one name both logins are shown, and which of them it is PPMS does not say.",
		RunE: t.ask(func(ctx context.Context, b *daemon.Toolbox, args []string) error {
			facility, err := number("core facility", args[0])
			if err != nil {
				return err
			}
			at := b.Today()
			if day != "" {
				if at, err = time.Parse(time.DateOnly, day); err != nil {
					return misuse(fmt.Errorf("--day %q is no date: give it as 2026-03-31", day))
				}
			}
			return b.RunningSheet(ctx, facility, at, room)
		}),
	}
	c.Flags().StringVar(&day, "day", "", "`date` as 2026-03-31 (default: today at the facility)")
	c.Flags().StringVar(&room, "room", "", "only rooms with this `text` in their name")
	return c
}

func (t *toolbox) orders() *cobra.Command {
	var ref int
	var lines bool
	c := &cobra.Command{
		Use: "orders", Short: "List the orders", Args: noArgs,
		RunE: t.ask(func(ctx context.Context, b *daemon.Toolbox, _ []string) error { return b.Orders(ctx, ref, lines) }),
	}
	c.Flags().IntVar(&ref, "ref", 0, "only the order with this `number`")
	c.Flags().BoolVar(&lines, "lines", false, "what was ordered, one row each; one call an order")
	return c
}

func (t *toolbox) order() *cobra.Command {
	var o daemon.OrderOptions
	create := &cobra.Command{
		Use: "create", Short: "Place an order", Args: noArgs,
		Example: "  ppms-syncd ppms order create --service 302 --login jdoe --quantity 2 --accepted",
		RunE:    t.write(func(ctx context.Context, a *daemon.App, _ []string) error { return a.CreateOrder(ctx, o) }),
	}
	f := create.Flags()
	f.StringVar(&o.Service, "service", "", "`id` of the service, see `ppms services`")
	f.StringVar(&o.Login, "login", "", "`login` of who orders")
	f.StringVar(&o.Quantity, "quantity", "", "how many, such as 2 or 1.5")
	f.StringVar(&o.Project, "project", "", "`ref` of the project that pays")
	f.BoolVar(&o.Accepted, "accepted", false, "accept the order at once")
	f.BoolVar(&o.Completed, "completed", false, "complete it at once; with --accepted only")
	f.StringVar(&o.CompletedAt, "completed-at", "", "`time` of completion at the facility, such as '2026-03-31 17:00:00'")
	f.StringVar(&o.Comments, "comments", "", "comments of the user")
	f.StringVar(&o.StaffComments, "staff-comments", "", "comments of staff")
	f.StringVar(&o.Bcode, "bcode", "", "account number that pays")
	yes(create, &o.Yes)
	required(create, "service", "login", "quantity")
	c := &cobra.Command{
		Use: "order", Short: "Place orders", Args: noArgs, SuggestionsMinimumDistance: 2, RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(create)
	return c
}

func (t *toolbox) invoices() *cobra.Command {
	c := &cobra.Command{Use: "invoices", Short: "List the invoices", Args: noArgs}
	charges := c.Flags().Bool("charges", false, "with what each account number pays; one call an invoice")
	c.RunE = t.ask(func(ctx context.Context, b *daemon.Toolbox, _ []string) error { return b.Invoices(ctx, *charges) })
	return c
}

func (t *toolbox) invoice() *cobra.Command {
	var o daemon.InvoiceOptions
	c := &cobra.Command{
		Use: "invoice ID", Short: "Show what an invoice charges to which account number, or its lines", Args: exactly("ID"),
		RunE: t.ask(func(ctx context.Context, b *daemon.Toolbox, args []string) error {
			o.Details = o.Details || o.Bcode != "" || o.Assistants
			return b.Invoice(ctx, args[0], o)
		}),
	}
	c.Flags().BoolVar(&o.Details, "details", false, "its lines: what was used, by whom, and what it costs")
	c.Flags().StringVar(&o.Bcode, "bcode", "", "only the lines that this account `number` pays")
	c.Flags().BoolVar(&o.Assistants, "assistants", false, "the lines with who assisted")
	return c
}

func (t *toolbox) services() *cobra.Command {
	return &cobra.Command{
		Use: "services FACILITY", Short: "List what a core facility offers beside its systems", Args: exactly("FACILITY"),
		RunE: t.ask(func(ctx context.Context, b *daemon.Toolbox, args []string) error {
			facility, err := number("core facility", args[0])
			if err != nil {
				return err
			}
			return b.Services(ctx, facility)
		}),
	}
}

func (t *toolbox) projects() *cobra.Command {
	var f daemon.ProjectFilter
	c := &cobra.Command{
		Use: "projects", Short: "List the projects, or the users of one", Args: noArgs,
		RunE: t.ask(func(ctx context.Context, b *daemon.Toolbox, _ []string) error { return b.Projects(ctx, f) }),
	}
	c.Flags().StringVar(&f.Login, "login", "", "only those that the user with this `login` is in")
	c.Flags().IntVar(&f.Users, "users", 0, "the users of the project with this `ref` instead")
	c.MarkFlagsMutuallyExclusive("login", "users")
	return c
}

func (t *toolbox) bcodes() *cobra.Command {
	return &cobra.Command{
		Use: "bcodes", Short: "List the account numbers, and what was charged to them", Args: noArgs,
		RunE: t.ask(func(ctx context.Context, b *daemon.Toolbox, _ []string) error { return b.Bcodes(ctx) }),
	}
}

func (t *toolbox) snapshot() *cobra.Command {
	var o daemon.SnapshotOptions
	c := &cobra.Command{
		Use: "snapshot", Short: "Write down users, units, systems and rights for the simulator", Args: noArgs,
		Long: "Writes the users, units, systems, rights and administrators of PPMS as JSON, which `sim --seed`, `plan --against` and\n" +
			"`apply --against` take. It asks once for each user, unit and system, and is JSON whatever --output says. The file is for your\n" +
			"eyes only; with --pseudonymise names, logins, addresses and numbers are replaced for good, so that it can be passed on.",
		Example: "  ppms-syncd ppms snapshot -o snapshot.json\n  ppms-syncd plan --against snapshot.json",
		RunE:    t.ask(func(ctx context.Context, b *daemon.Toolbox, _ []string) error { return b.Snapshot(ctx, o) }),
	}
	c.Flags().StringVarP(&o.File, "out", "o", "", "write it to this `file`, readable by its owner only")
	c.Flags().BoolVar(&o.Pseudonymise, "pseudonymise", false, "replace what names people; levels, states, dates and systems stay")
	return c
}
