package ppmssim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// loadState reads a state file; none is no error.
func loadState(path string) (Seed, bool, error) {
	data, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if errors.Is(err, fs.ErrNotExist) {
		return Seed{}, false, nil
	}
	if err != nil {
		return Seed{}, false, fmt.Errorf("cannot read the state: %w", err)
	}
	var seed Seed
	if err := strictly(data, &seed); err != nil {
		return Seed{}, false, fmt.Errorf("state file %s is not one that the simulator wrote: %w", path, err)
	}
	return seed, true, nil
}

// saveState replaces the file in one step, so that whoever reads it, after a crash too, finds the old or the new state whole.
func saveState(path string, seed Seed) error {
	data, err := json.MarshalIndent(seed, "", " ")
	if err != nil {
		return fmt.Errorf("cannot encode the state: %w", err)
	}
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return fmt.Errorf("cannot write the state: %w", err)
	}
	_, err = tmp.Write(append(data, '\n'))
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("cannot write the state: %w", errors.Join(err, os.Remove(tmp.Name())))
	}
	return syncDir(dir)
}

// syncDir makes the rename last.
func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // the operator names the file
	if err != nil {
		return fmt.Errorf("cannot sync the state: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("cannot sync the state: %w", err)
	}
	return nil
}
