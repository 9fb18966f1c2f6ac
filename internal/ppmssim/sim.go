package ppmssim

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"ppms-syncd/internal/secret"
)

// Options are what a simulator is made of. Only the key is required.
type Options struct {
	Key       secret.Secret
	Seed      Seed
	StateFile string        // if set, the state is read from it if it exists (instead of the seed), and kept in it: JSON, mode 0600
	Latency   time.Duration // before each answer
	Faults    []Fault
	Log       *zap.Logger      // nil: none
	Effects   io.Writer        // if set, gets each write request as one line of JSON, synced if it can be; never the key
	Now       func() time.Time // nil: time.Now
	// FoldLogins finds an account whatever the case of the login. Whether PPMS does is not known for sure: Imagopole's
	// integration tests saw it for getuserrights, nobody wrote about the other actions.
	FoldLogins bool
	Wire       Wire
	Scope      Scope
}

// Scope is what the key may do. The zero value is a key that may do everything.
type Scope struct {
	NoUsers    bool  // no user management: asking for accounts and groups is not authorized
	Facilities []int // setright on systems of these core facilities only; nil: of all
}

func (s Scope) mayUse(facility int) bool {
	return s.Facilities == nil || slices.Contains(s.Facilities, facility)
}

// Sim is a simulated PPMS. Its methods may be used while it serves.
type Sim struct {
	key       secret.Secret
	keyOf     func(login string) string
	latency   time.Duration
	log       *zap.Logger
	now       func() time.Time
	wire      Wire
	scope     Scope
	stateFile string
	actions   map[string]action

	mu        sync.Mutex // over all that follows, so that effects are in the order in which they happened
	state     *state
	faults    []armed
	requests  map[string]int
	effects   []Effect
	effectsTo io.Writer
}

// New makes a simulator. It fails on a missing key, on a seed or fault that makes no sense, and on a state file that cannot
// be read or written.
func New(o Options) (*Sim, error) {
	if o.Key.Reveal() == "" {
		return nil, errors.New("the simulator needs an API key")
	}
	s := &Sim{
		key: o.Key, keyOf: exactKey, latency: o.Latency, log: o.Log, now: o.Now, wire: o.Wire, scope: o.Scope,
		stateFile: o.StateFile, actions: actions(), requests: map[string]int{}, effectsTo: o.Effects,
	}
	if o.FoldLogins {
		s.keyOf = foldedKey
	}
	if s.log == nil {
		s.log = zap.NewNop()
	}
	if s.now == nil {
		s.now = time.Now
	}
	for _, f := range o.Faults {
		if err := f.check(); err != nil {
			return nil, fmt.Errorf("fault %s: %w", f, err)
		}
	}
	s.SetFaults(o.Faults)
	seed, err := s.start(o.Seed)
	if err != nil {
		return nil, err
	}
	s.state = newState(seed, s.keyOf)
	return s, s.save()
}

// start is the state file if there is one, else the seed. What the simulator wrote itself is not checked again: staff's hands
// and the API can make what no seed may hold.
func (s *Sim) start(seed Seed) (Seed, error) {
	if s.stateFile != "" {
		kept, exists, err := loadState(s.stateFile)
		if err != nil || exists {
			return kept, err
		}
	}
	var all []error
	for _, m := range check(&seed, s.keyOf) {
		all = append(all, fmt.Errorf("seed: %s: %s", m.at, m.text))
	}
	return seed, errors.Join(all...)
}

func (s *Sim) save() error {
	if s.stateFile == "" {
		return nil
	}
	return saveState(s.stateFile, s.state.seed())
}

// authorized says whether the key is right and may do that.
func (s *Sim) authorized(params url.Values, act action) bool {
	right := subtle.ConstantTimeCompare([]byte(params.Get("apikey")), []byte(s.key.Reveal())) == 1
	return right && (!act.people || !s.scope.NoUsers)
}

// result is what goes to the client.
type result struct {
	action            string
	body, contentType string
	fault             *Fault
	err               error // effect or state could not be kept
}

// call works on one request, from the key to the state file, under the lock.
func (s *Sim) call(params url.Values) result {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := params.Get("action")
	act, known := s.actions[name]
	if !known {
		name = "unknown"
	}
	s.requests[name]++
	q := &request{
		name: name, params: params, state: s.state, wire: s.wire, scope: s.scope, now: s.now(),
		fault: s.fault(name, act.writes, params),
	}
	r := result{action: name, fault: q.fault}
	if q.fault != nil && q.fault.instead() {
		r.body, r.contentType = s.instead(q.fault)
	} else {
		r.body, r.contentType = s.wire.render(s.answer(q, act, known))
	}
	if act.writes {
		r.err = s.remember(q, r.body)
	}
	return r
}

// answer asks the action.
func (s *Sim) answer(q *request, act action, known bool) answer {
	if !s.authorized(q.params, act) {
		return notAuthorized()
	}
	if !known {
		return refuse("unknown action") // the words are a choice
	}
	if q.fault != nil && q.fault.Kind == FaultWrongLogin && !act.writes {
		q.mislead()
	}
	a := act.run(q)
	if bare, _ := q.flag("noheaders"); bare {
		a.lines, a.head = a.lines[a.head:], 0
	}
	q.fault.spoilLines(&a)
	return a
}

// PutUser creates or replaces the account with that login, as staff do; its rights stay.
func (s *Sim) PutUser(u User) {
	s.byHand(func(state *state) { state.putUser(u) })
}

// DeleteUser removes an account and its rights, which PPMS itself never does.
func (s *Sim) DeleteUser(login string) {
	s.byHand(func(state *state) { state.deleteUser(login) })
}

// SetAdmin makes an account an administrator, or no longer one.
func (s *Sim) SetAdmin(login string, admin bool) {
	s.byHand(func(state *state) {
		if u, ok := state.user(login); ok {
			u.Admin = admin
			state.putUser(u)
		}
	})
}

// SetRight sets a level; "" takes the right off the list, which the API cannot do.
func (s *Sim) SetRight(login string, system int, level string) {
	s.byHand(func(state *state) { state.setRight(login, system, level) })
}

// PutSystem creates or replaces a system.
func (s *Sim) PutSystem(x System) {
	s.byHand(func(state *state) { state.putSystem(x) })
}

// PutUnit creates or replaces a unit.
func (s *Sim) PutUnit(u Unit) {
	s.byHand(func(state *state) { state.putUnit(u) })
}

// byHand changes the state without an effect: only requests have those.
func (s *Sim) byHand(change func(*state)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s.state)
	if err := s.save(); err != nil {
		s.log.Error("state not written", zap.Error(err))
	}
}

// User is an account as it is now.
func (s *Sim) User(login string) (User, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.user(login)
}

// Right is the level of an account's own right on a system; "" if it has none.
func (s *Sim) Right(login string, system int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.right(login, system)
}

// Snapshot is the whole state, rights by system and login.
func (s *Sim) Snapshot() Seed {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.seed()
}

// Effects are the write requests since the start, in the order in which they were worked on.
func (s *Sim) Effects() []Effect {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.effects)
}

// Requests counts the requests by action; actions that there are not count as "unknown".
func (s *Sim) Requests() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.requests)
}
