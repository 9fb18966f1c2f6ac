//go:build man

// This file makes the manual pages of the program instead of the program:
//
//	go run -tags man ./cmd/ppms-syncd DIR <docs/configuration.md
package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/cpuguy83/go-md2man/v2/md2man"
	"github.com/spf13/cobra/doc"
)

var version string

func main() {
	if err := manual(os.Args[1], os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// manual writes a page of section 8 for each command, and ppms-syncd.yaml(5) from the reference of the configuration.
func manual(dir string, reference io.Reader) error {
	root := (&program{}).root()
	root.DisableAutoGenTag = true
	seconds, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64)
	if err != nil {
		return fmt.Errorf("SOURCE_DATE_EPOCH, the date on the pages: %w", err)
	}
	date := time.Unix(seconds, 0).UTC()
	header := doc.GenManHeader{Section: "8", Source: "ppms-syncd", Manual: "ppms-syncd", Date: &date}
	if err := doc.GenManTreeFromOpts(root, doc.GenManTreeOptions{Path: dir, CommandSeparator: "-", Header: &header}); err != nil {
		return err
	}
	text, err := io.ReadAll(reference)
	if err != nil {
		return err
	}
	page := fmt.Sprintf("%% \"PPMS-SYNCD.YAML\" \"5\" \"%s\" \"%s\" \"ppms-syncd\"\n", date.Format("Jan 2006"), header.Source) +
		"# NAME\nppms-syncd.yaml - configuration of ppms-syncd, usually /etc/ppms-syncd/config.yaml\n\n# DESCRIPTION\n" + listed(string(text)) +
		"\n# SEE ALSO\n**ppms-syncd(8)**, **ppms-syncd-config-example(8)**, **ppms-syncd-check(8)**\n"
	return os.WriteFile(filepath.Join(dir, "ppms-syncd.yaml.5"), md2man.Render([]byte(page)), 0o644)
}

// listed turns the page's table into a list, which a terminal has the width for.
func listed(markdown string) string {
	var out strings.Builder
	for line := range strings.Lines(markdown) {
		switch cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | "); {
		case strings.HasPrefix(line, "| `") && len(cells) == 3:
			fmt.Fprintf(&out, "**%s**", strings.Trim(cells[0], " `"))
			if standard := strings.Trim(cells[1], " `"); standard != "" {
				fmt.Fprintf(&out, " (`%s`)", standard)
			}
			fmt.Fprintf(&out, "\n: %s\n\n", strings.TrimSpace(cells[2]))
		case !strings.HasPrefix(line, "|") && !strings.HasPrefix(line, "# "):
			out.WriteString(line)
		}
	}
	return out.String()
}
