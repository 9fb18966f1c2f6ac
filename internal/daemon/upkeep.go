package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"

	"ppms-syncd/internal/ledger"
	"ppms-syncd/internal/reconcile"
)

// Stdout is the name of a file that means standard output.
const Stdout = "-"

// Backup writes a copy of the ledger, which may be in use, into a new file or to standard output.
func (a *App) Backup(ctx context.Context, file string) error {
	if _, err := os.Stat(a.Config.Ledger.Path); errors.Is(err, fs.ErrNotExist) {
		return a.noLedger()
	}
	if file == Stdout {
		return a.backupOut(ctx)
	}
	if err := ledger.Backup(ctx, a.Config.Ledger.Path, file); err != nil {
		return err
	}
	p := &printer{out: a.Out, colour: a.Colour}
	p.printf("%s has a copy of the ledger. To restore it: stop ppms-syncd, move %s away together with its -wal and -shm files, and put the "+
		"copy in its place.\n", harmless(file), harmless(a.Config.Ledger.Path))
	return p.err
}

// backupOut makes the copy beside the ledger first, where there is room for one, or nothing but half a copy might come out.
func (a *App) backupOut(ctx context.Context) error {
	file, err := a.nameless(ctx)
	if err != nil {
		return err
	}
	_, err = io.Copy(a.Out, file)
	return errors.Join(err, file.Close())
}

// nameless opens a copy that has no name any more: who reads it may go away, and that ends this process where it stands.
func (a *App) nameless(ctx context.Context) (file *os.File, err error) {
	path := a.Config.Ledger.Path
	dir, err := os.MkdirTemp(filepath.Dir(path), "backup-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	copied := filepath.Join(dir, "ledger.db")
	if err := ledger.Backup(ctx, path, copied); err != nil {
		return nil, err
	}
	return os.Open(copied) //nolint:gosec // G304: just made
}

// Forget removes what the ledger knows of one person, for a request of data protection. It says what that is, and asks if
// somebody is there to answer.
func (a *App) Forget(ctx context.Context, login string, yes bool) error {
	unlock, err := a.lockRun() // what a run has read it would write back
	if err != nil {
		return err
	}
	defer unlock()
	return a.withLedger(ctx, func(l Ledger) error { return a.forget(ctx, l, strings.TrimSpace(login), yes) })
}

func (a *App) forget(ctx context.Context, l Ledger, login string, yes bool) error {
	login, _, err := accountOf(ctx, l, login)
	if err != nil {
		return err
	}
	key := reconcile.KeyOf(login)
	traces, err := l.Traces(ctx, key)
	if err != nil {
		return err
	}
	if len(traces) == 0 { // perhaps any more, and an earlier word did not come to its end
		return errors.Join(fmt.Errorf("the ledger knows nothing of %s", login), l.Scrub(ctx))
	}
	p := &printer{out: a.Out, colour: a.Colour}
	rows := make([][]string, len(traces))
	for i, t := range traces {
		rows[i] = []string{t.What, thousands(t.N)}
	}
	p.heading(text.Bold, "What the ledger knows of %s", harmless(login))
	p.table(nil, rows)
	p.printf("All of that is removed; of changes in the journal remains what was done and when, to nobody.\n"+
		"The account in PPMS stays as it is, and is nobody's: its rights stay, and it is not deactivated any more. If %s is still in the\n"+
		"directory, the next run begins anew with them. Backups, logs and saved plans keep what they have.\n", harmless(login))
	if p.err != nil {
		return p.err
	}
	if !yes && a.ask("Forget "+harmless(login)+"?") == No {
		return &ExitError{Code: ExitFailed, Err: errors.New("nothing was removed")}
	}
	if err := l.Forget(ctx, key, a.actor(), a.Now()); err != nil {
		return err
	}
	p.printf("Forgotten.\n")
	return p.err
}
