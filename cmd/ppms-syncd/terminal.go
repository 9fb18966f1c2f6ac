package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"ppms-syncd/internal/daemon"
)

// terminal says what a person at the terminal gets: colours, a progress bar, questions.
func (p *program) terminal() daemon.Terminal {
	t := daemon.Terminal{Colour: isTerminal(p.out) && os.Getenv("NO_COLOR") == ""}
	if isTerminal(p.err) {
		t.Watch = p.progress
	}
	if isTerminal(p.err) && isTerminal(p.in) {
		t.Ask = p.ask
	}
	return t
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func (p *program) progress(what string, total int) daemon.Step {
	bar := progressbar.NewOptions(total,
		progressbar.OptionSetWriter(p.err), progressbar.OptionSetDescription(what), progressbar.OptionShowCount(),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(), progressbar.OptionSetWidth(30))
	return func(done int) { _ = bar.Set(done) } // a bar that cannot be drawn is no reason to fail
}

// ask wants a yes in words.
func (p *program) ask(question string) bool {
	_, _ = fmt.Fprintf(p.err, "%s [yes/no] ", question)
	line, err := bufio.NewReader(p.in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return false
	}
	return strings.EqualFold(strings.TrimSpace(line), "yes")
}
