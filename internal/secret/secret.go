// Package secret keeps passwords and API keys out of everything that prints.
//
// A [Secret] holds its bytes in a closure. No verb of fmt, no encoder, no logger and no dumper that walks a value by
// reflection can reach them, exported field or not; only [Secret.Reveal] can, and a search for that word finds every
// place where a secret leaves.
package secret

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	redacted = "[redacted]"
	longest  = 64 << 10 // bytes of a secret file
)

// Secret is a value that does not print itself.
type Secret struct{ reveal func() string }

// New hides a value.
func New(value string) Secret { return Secret{reveal: func() string { return value }} }

// Reveal gives the value to the one who sends it.
func (s Secret) Reveal() string {
	if s.reveal == nil {
		return ""
	}
	return s.reveal()
}

// String says that there is something, never what.
func (Secret) String() string { return redacted }

// GoString answers %#v.
func (Secret) GoString() string { return redacted }

// MarshalText answers every text and JSON encoder.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Scrub replaces the secret in a text that somebody else made, such as a server's error message.
func (s Secret) Scrub(text string) string {
	value := s.Reveal()
	if value == "" {
		return text
	}
	return strings.ReplaceAll(text, value, redacted)
}

// File is a secret that lives in a file and is read anew each time, so that it can be rotated under a running service.
// A relative path is sought in the directories in turn: systemd's credentials first, then the one of the configuration.
type File struct {
	Path string
	Dirs []string
}

// Find returns the path of the file, the first that exists.
func (f File) Find() (string, error) {
	if f.Path == "" {
		return "", errors.New("no file is configured")
	}
	if filepath.IsAbs(f.Path) {
		return f.Path, nil
	}
	tried := make([]string, 0, len(f.Dirs))
	for _, dir := range f.Dirs {
		if dir == "" {
			continue
		}
		path := filepath.Join(dir, f.Path)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		tried = append(tried, path)
	}
	return "", fmt.Errorf("secret file %s does not exist (looked for %s)", f.Path, strings.Join(tried, ", "))
}

// Read returns the secret, without the line end that editors add. A file that others may touch, an empty one and one of
// more than a line are refused.
func (f File) Read() (Secret, error) {
	path, data, err := f.content()
	if err != nil {
		return Secret{}, err
	}
	value := strings.TrimRight(data, "\r\n")
	switch {
	case value == "":
		return Secret{}, fmt.Errorf("secret file %s is empty", path)
	case strings.ContainsAny(value, "\r\n\x00"):
		return Secret{}, fmt.Errorf("secret file %s has more than one line", path)
	}
	return New(value), nil
}

// ReadPEM returns a private key as it stands. A file that others may touch is refused.
func (f File) ReadPEM() (Secret, error) {
	_, data, err := f.content()
	return New(data), err
}

func (f File) content() (path, data string, err error) {
	if path, err = f.Find(); err != nil {
		return "", "", err
	}
	file, err := os.OpenFile(filepath.Clean(path), os.O_RDONLY|syscall.O_NONBLOCK, 0) // a named pipe would be waited for, perhaps for ever
	if err != nil {
		return "", "", err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return "", "", err
	}
	if !info.Mode().IsRegular() {
		return "", "", fmt.Errorf("secret file %s is not a regular file", path)
	}
	if mode := info.Mode().Perm(); mode&0o007 != 0 {
		return "", "", fmt.Errorf("secret file %s has mode %04o: others may touch it; run chmod o-rwx %s", path, mode, path)
	}
	all, err := io.ReadAll(io.LimitReader(file, longest+1))
	if err != nil {
		return "", "", err
	}
	if len(all) > longest {
		return "", "", fmt.Errorf("secret file %s has more than %d bytes: that is no password and no key", path, longest)
	}
	return path, string(all), nil
}
