package daemon

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ppms-syncd/internal/ledger"
	"ppms-syncd/internal/reconcile"
)

// planAge is how old a saved plan may be when it is applied.
const planAge = 24 * time.Hour

// present saves a plan, if a file is given, and prints it.
func (a *App) present(report *Report, o Output, path string) error {
	if path != "" {
		data, err := encodeJSON(&report.Plan)
		if err != nil {
			return err
		}
		if err := saveFile("the plan", path, data); err != nil {
			return err
		}
	}
	return a.print(report, o, path)
}

// saveFile writes a file, whole or not at all. It holds names and addresses, so that only its owner may read it.
func saveFile(what, path string, data []byte) (err error) {
	if err := mayReplace(path); err != nil {
		return fmt.Errorf("save %s: %w", what, err)
	}
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("save %s to %s: %w", what, path, errors.Unwrap(err)) // without the name of the file that was to become it
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("save %s to %s: %w", what, path, err), os.Remove(file.Name()))
		}
	}()
	if _, err = file.Write(data); err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// mayReplace refuses to put a file in the place of a device or a link: root would lose /dev/null or /dev/stdout to it.
func mayReplace(path string) error {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s is there, and is not a regular file", path)
	}
	return nil
}

// encodeJSON is JSON that people can read, too.
func encodeJSON(v any) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(v)
	return out.Bytes(), err
}

// loadPlan reads a plan file and refuses one that was changed, is older than a day, or was made under another configuration.
func loadPlan(path, configHash string, now time.Time) (*reconcile.Plan, error) {
	file, err := os.Open(filepath.Clean(path))
	if err != nil {
		return nil, fmt.Errorf("read the plan: %w", err)
	}
	defer func() { _ = file.Close() }()
	var plan reconcile.Plan
	d := json.NewDecoder(file)
	if err := d.Decode(&plan); err != nil {
		return nil, fmt.Errorf("%s is no plan: %w; make one with `ppms-syncd plan -o FILE`", path, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s is no plan: something follows after its end", path)
	}
	switch age := now.Sub(plan.CreatedAt); {
	case plan.Version == 0:
		return nil, fmt.Errorf("%s is no plan; make one with `ppms-syncd plan -o FILE`", path)
	case plan.Version != 1:
		return nil, fmt.Errorf("%s has version %d, and this program knows version 1 only", path, plan.Version)
	case plan.Hash != reconcile.PlanHash(plan.Policy, plan.Changes):
		return nil, fmt.Errorf("%s was changed since it was made: its hash does not fit its changes; make a new one", path)
	case plan.ConfigHash != configHash:
		return nil, fmt.Errorf("%s was made under another configuration; make a new one", path)
	case age > planAge:
		return nil, fmt.Errorf("%s is %s old, and a plan is good for %s; make a new one", path, age.Round(time.Minute), planAge)
	case age < -time.Hour:
		return nil, fmt.Errorf("%s was made in the future (%s); is the clock right?", path, plan.CreatedAt.Format(time.RFC3339))
	}
	return &plan, checkChanges(&plan)
}

// checkChanges refuses what no plan of this program has. The hash fits whatever somebody computes it over.
func checkChanges(plan *reconcile.Plan) error {
	seen := make(map[string]bool, len(plan.Changes))
	for i := range plan.Changes {
		c := &plan.Changes[i]
		if why := oddChange(c); why != "" {
			return fmt.Errorf("change %d of the plan (%s %q) %s; make a new plan", i+1, c.Kind, c.Login, why)
		}
		if seen[c.ID()] {
			return fmt.Errorf("change %d of the plan (%s %q) is there twice; make a new plan", i+1, c.Kind, c.Login)
		}
		seen[c.ID()] = true
	}
	return nil
}

func oddChange(c *reconcile.Change) string {
	switch {
	case strings.TrimSpace(c.Login) == "":
		return "has no login"
	case c.Kind == reconcile.SetRight:
		return oddRight(c)
	case c.Kind != reconcile.NewUser && c.Kind != reconcile.UpdateUser:
		return "is of an unknown kind"
	case len(c.Fields) == 0:
		return "has no fields"
	}
	for name, v := range c.Fields {
		if v.From == nil && c.Kind == reconcile.UpdateUser {
			return "does not say what " + name + " changes from"
		}
	}
	return ""
}

func oddRight(c *reconcile.Change) string {
	if c.From == nil {
		return "does not say what it changes from"
	}
	_, from := reconcile.ParseLevel(*c.From)
	if _, to := reconcile.ParseLevel(c.To); !to || !from && *c.From != "" || c.System <= 0 || len(c.Fields) > 0 {
		return "has a level or a system that does not exist"
	}
	return ""
}

// only narrows a fresh plan to what a saved one has. What the fresh one would not do any more, exactly so, is stale; what it
// would do beyond is left for another run. The file serves as a list of changes: what is carried out is the fresh plan's. The fresh
// plan of an undo looks at what each change starts from, and at nothing else.
func only(file *reconcile.Plan, fresh reconcile.Plan) reconcile.Plan {
	planned := make(map[string]*reconcile.Change, len(fresh.Changes))
	for i := range fresh.Changes {
		planned[fresh.Changes[i].ID()] = &fresh.Changes[i]
	}
	changes := slices.Clone(file.Changes)
	for i := range changes {
		c := &changes[i]
		if again, ok := planned[c.ID()]; ok {
			*c = *again
			continue
		}
		c.Held, c.Approved = "", false
		c.Outcome, c.Detail = reconcile.Stale, "a fresh plan does not have this change"
		if file.Undoes != 0 {
			c.Detail = fmt.Sprintf("it is no longer as run %d left it", file.Undoes)
		}
	}
	fresh.Changes, fresh.Hash = changes, file.Hash
	return fresh
}

// hashFits compares a hash with one that somebody typed, perhaps without its prefix or only the first digits.
func hashFits(typed, hash string) bool {
	digits, err := ledger.HashDigits(typed)
	return err == nil && strings.HasPrefix(hash, "sha256:"+digits)
}

// checkHash refuses what cannot be the hash of a plan.
func checkHash(typed string) error {
	if _, err := ledger.HashDigits(typed); err != nil {
		return &ExitError{Code: ExitUsage, Err: err}
	}
	return nil
}
