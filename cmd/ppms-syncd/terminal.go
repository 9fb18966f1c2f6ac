package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"ppms-syncd/internal/daemon"
)

// terminal says what a person at the terminal gets: colours, progress, questions.
func (p *program) terminal(ctx context.Context) daemon.Terminal {
	t := daemon.Terminal{Colour: isTerminal(p.out) && os.Getenv("NO_COLOR") == ""}
	if isTerminal(p.err) {
		t.Watch = p.progress
	}
	if isTerminal(p.err) || !isTerminal(p.in) { // else nobody would see the question that is waited for
		t.Ask = func(question string) daemon.Answer { return p.ask(ctx, question) }
	}
	return t
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// progress draws a bar, which goes away at the end.
func (p *program) progress(what string, total int) daemon.Step {
	const width = 30
	var drawn time.Time
	return func(done int) {
		switch now := time.Now(); {
		case done >= total:
			_, _ = fmt.Fprint(p.err, "\r\x1b[K")
		case now.Sub(drawn) >= 100*time.Millisecond:
			_, _ = fmt.Fprintf(p.err, "\r\x1b[K%s [%-*s] %d of %d", what, width, strings.Repeat("#", width*done/total), done, total)
			drawn = now
		}
	}
}

// ask wants a yes, from a person or through a pipe. A person who ends the input, or interrupts the program, says no.
func (p *program) ask(ctx context.Context, question string) daemon.Answer {
	_, _ = fmt.Fprintf(p.err, "%s [yes/no] ", question)
	type line struct {
		text string
		err  error
	}
	lines, in := make(chan line, 1), p.in
	go func() { // which nothing but an answer can end, so that it does no more than read
		text, err := bufio.NewReader(in).ReadString('\n')
		lines <- line{text, err}
	}()
	select {
	case l := <-lines:
		return p.answer(l.text, l.err)
	case <-ctx.Done():
		_, _ = fmt.Fprintln(p.err)
		return daemon.No
	}
}

func (p *program) answer(line string, err error) daemon.Answer {
	person := isTerminal(p.in)
	if !person || err != nil {
		_, _ = fmt.Fprintln(p.err) // where a person would have done so
	}
	switch answer := strings.ToLower(strings.TrimSpace(line)); {
	case err != nil && answer == "" && !person:
		return daemon.Nobody
	case answer == "yes" || answer == "y":
		return daemon.Yes
	}
	return daemon.No
}
