package main

import (
	"io"
	"strings"

	"github.com/coreos/go-systemd/v22/journal"
	"go.uber.org/zap/buffer"
	"go.uber.org/zap/zapcore"
)

// journalled says whether what is written to stderr goes to systemd's journal.
func journalled() bool {
	is, err := journal.StderrIsJournalStream()
	return err == nil && is // a $JOURNAL_STREAM that nobody understands is no journal
}

// prioritised begins each line with its level in the words of sd-daemon(3), so that `journalctl -p warning` finds it.
type prioritised struct{ zapcore.Encoder }

// Clone makes another one, for a logger with further fields.
func (p prioritised) Clone() zapcore.Encoder { return prioritised{p.Encoder.Clone()} }

// EncodeEntry makes one line.
func (p prioritised) EncodeEntry(e zapcore.Entry, fields []zapcore.Field) (*buffer.Buffer, error) {
	line, err := p.Encoder.EncodeEntry(e, fields)
	if err != nil {
		return nil, err
	}
	text := priority(e.Level) + line.String()
	line.Reset()
	line.AppendString(text)
	return line, nil
}

// priority is syslog's number for a level.
func priority(l zapcore.Level) string {
	switch {
	case l < zapcore.InfoLevel:
		return "<7>"
	case l == zapcore.InfoLevel:
		return "<6>"
	case l == zapcore.WarnLevel:
		return "<4>"
	case l == zapcore.ErrorLevel:
		return "<3>"
	}
	return "<2>"
}

// complain says why the program ends, a line of the journal for each line of the text.
func complain(w io.Writer, text string) {
	text = "ppms-syncd: " + text
	if journalled() {
		text = priority(zapcore.ErrorLevel) + strings.ReplaceAll(text, "\n", "\n"+priority(zapcore.ErrorLevel))
	}
	_, _ = io.WriteString(w, text+"\n") // where else would it be said that this failed
}
