package ppms

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"go.uber.org/zap"
	"golang.org/x/text/encoding/charmap"

	"ppms-syncd/internal/secret"
)

const (
	maxAnswer  = 64 << 20 // bytes; a list of a million logins is a quarter of that
	maxExcerpt = 160      // runes of the server's words in an error
)

// call is one request.
type call struct {
	action string // in our words
	wire   string // PUMAPI's word for it, if that is another
	form   url.Values
	write  bool
}

// once sends one request, parses the answer and tells the observer. All errors of the package are made here.
func once[T any](ctx context.Context, r *Reader, client *http.Client, c call, parse func(text string) (T, error)) (T, error) {
	var none T
	if err := r.limit.Wait(ctx); err != nil {
		return none, r.failed(c, &fault{kind: NotSent, what: "not sent: " + err.Error(), err: err})
	}
	start := time.Now()
	result, err := func() (_ T, err error) {
		defer bug(&err)
		text, err := r.exchange(ctx, client, c)
		if err != nil {
			return none, err
		}
		return parse(text)
	}()
	if err != nil {
		failure := r.failed(c, err)
		r.observe(c.action, failure.Kind.String(), time.Since(start))
		return none, failure
	}
	r.observe(c.action, "ok", time.Since(start))
	return result, nil
}

// exchange is the only function that sends anything. It returns the text of an answer that is one, without blanks around it.
//
// Whether the request was sent is judged by whether it got a connection, TLS included. Between that and its first byte on
// the wire nothing takes long, so the doubt is small and falls on the side of reading back.
func (r *Reader) exchange(parent context.Context, client *http.Client, c call) (string, error) {
	ctx, cancel := context.WithTimeoutCause(parent, r.timeout, errTimeout)
	defer cancel()
	var connected atomic.Bool
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})
	req, err := r.request(traced, c)
	if err != nil {
		return "", &fault{kind: NotSent, what: "not sent: " + err.Error(), err: err}
	}
	r.sent.Add(1)
	resp, err := client.Do(req)
	switch {
	case err != nil && connected.Load():
		err = wireError(ctx, err)
		return "", &fault{kind: Lost, what: "no answer: " + err.Error(), err: err}
	case err != nil: // nothing was sent that the words of this error could repeat
		err = causeOf(ctx, err)
		what := "cannot connect: " + err.Error()
		if ctx.Err() == nil {
			what += "; check ppms.url, and whether this host reaches it"
		}
		return "", &fault{kind: NotSent, what: what, err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.TLS != nil { // verified, or there would be no answer
		r.expires.Store(&resp.TLS.PeerCertificates[0].NotAfter)
	}
	if err := checkStatus(resp); err != nil {
		return "", err
	}
	if !c.write && !framed(resp) {
		return "", &fault{kind: Lost, what: "the answer has neither a length nor chunks, so nothing says that it is whole; " +
			"PPMS or the proxy before it must send one of them"}
	}
	body, err := r.readBody(resp)
	if f, ok := errors.AsType[*fault](err); ok {
		return "", f
	}
	if err != nil {
		err = wireError(ctx, err)
		return "", &fault{kind: Lost, what: fmt.Sprintf("the answer broke off after %d bytes: %v", len(body), err), err: err}
	}
	return judge(body)
}

var (
	errTimeout  = errors.New("no whole answer within ppms.timeout")
	errProtocol = errors.New("the connection broke, or what came is no HTTP/1.1")
)

// wireError is the cause of a failure after the key was sent. Of what net/http reports only errors of the network pass, for
// the others quote what the server said, in pieces in which the key cannot be recognised.
func wireError(ctx context.Context, err error) error {
	err = causeOf(ctx, err)
	_, network := errors.AsType[net.Error](err)
	if network || ctx.Err() != nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	return errProtocol
}

// causeOf prefers the reason of an ended context to the words of net/http, and drops the URL that those begin with.
func causeOf(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// request builds the POST. Without GetBody the transport cannot rewind the body, so it never sends a request twice of its
// own accord; with it, it does so on a kept connection that turns out to be closed.
func (r *Reader) request(ctx context.Context, c call) (*http.Request, error) {
	form := url.Values{}
	maps.Copy(form, c.form)
	form.Set("action", c.wireAction())
	if r.log.Core().Enabled(zap.DebugLevel) {
		r.log.Debug("pumapi request", zap.String("action", c.action), zap.String("curl", curl(r.url, form)))
	}
	form.Set("apikey", r.key.Reveal())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.GetBody = nil
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("User-Agent", r.userAgent)
	return req, nil
}

func (c call) wireAction() string {
	if c.wire != "" {
		return c.wire
	}
	return c.action
}

// checkStatus accepts 200 alone: PUMAPI answers so even to calls that failed, and with any other an empty body might pass
// for "no such user".
func checkStatus(resp *http.Response) error {
	status := resp.StatusCode
	f := &fault{status: status, what: strings.TrimSpace(fmt.Sprintf("the server answered %d %s", status, http.StatusText(status)))}
	switch {
	case status == http.StatusOK:
		return nil
	case status >= 500, status == http.StatusTooManyRequests, status == http.StatusRequestTimeout:
		f.kind = HTTPStatus
		f.after = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	case status >= 300 && status < 400:
		f.kind, f.said = NotPUMAPI, resp.Header.Get("Location")
		f.what += ", and a redirect is not followed, since that would send the key elsewhere"
	default:
		f.kind = NotPUMAPI
	}
	return f
}

// retryAfter reads seconds or a date; 0 if there is neither or it is past.
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(strings.TrimSpace(header), 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// framed says whether a cut answer would show. One that has neither a length nor chunks ends where the connection ends: cut, it
// looks whole, and empty, it looks like "no such user". Reads do not believe it. For a write it will do, since nobody
// believes that answer anyway and some servers frame nothing on a connection that is not kept. A server of HTTP/1.0, where
// that is the usual way, is taken at its word: there the lists are still held against each other.
func framed(resp *http.Response) bool {
	return resp.ContentLength >= 0 || len(resp.TransferEncoding) > 0 || !resp.ProtoAtLeast(1, 1)
}

// readBody reads all of the answer, within bounds.
func (r *Reader) readBody(resp *http.Response) ([]byte, error) {
	tooLong := &fault{kind: Malformed, what: fmt.Sprintf("the answer is longer than %d bytes", r.maxAnswer)}
	if resp.ContentLength > r.maxAnswer {
		return nil, tooLong
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, r.maxAnswer+1))
	if err == nil && int64(len(body)) > r.maxAnswer {
		return nil, tooLong
	}
	return body, err
}

// judge tells an answer from the failures that come with status 200: a web page, and a text that begins with "error:".
func judge(body []byte) (string, error) {
	text, err := decode(body)
	if err != nil {
		return "", err
	}
	text = strings.TrimSpace(text)
	lower := strings.ToLower(text[:min(len(text), 100)])
	reason, isError := strings.CutPrefix(lower, "error:")
	switch {
	case strings.HasPrefix(text, "<"):
		return "", &fault{kind: NotPUMAPI, what: "a web page answered", said: text}
	case strings.HasPrefix(strings.TrimSpace(reason), "request not authori"):
		return "", &fault{kind: Unauthorised, what: "PPMS does not accept the key", said: text}
	case isError:
		return "", &fault{kind: Refused, what: "PPMS refused", said: text}
	}
	return text, nil
}

// decode makes text of an answer. Which character set PPMS sends is unknown. Text that is valid UTF-8 by accident does not
// occur in practice, so that comes first; for the rest Windows-1252, what a Windows server in the West falls back to, is
// preferred to refusing: one old letter in one name would stop every run, and a wrong guess shows as a wrong letter in a plan.
// Bytes that Windows-1252 does not have are refused.
func decode(body []byte) (string, error) {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	if utf8.Valid(body) {
		return string(body), nil
	}
	text, err := charmap.Windows1252.NewDecoder().String(string(body))
	if err != nil || strings.ContainsRune(text, unicode.ReplacementChar) {
		return "", malformed("", "the answer is neither UTF-8 nor Windows-1252")
	}
	return text, nil
}

// failed turns what went wrong into the error that callers see. It is the one place where words of the server pass into an
// error, and it takes the key and a user's password out of them, for a server may repeat what it was sent.
func (r *Reader) failed(c call, err error) *Error {
	f, ok := errors.AsType[*fault](err)
	if !ok {
		f = &fault{kind: Malformed, what: err.Error()}
	}
	clean := func(text string) string { return oneLine(scrub(scrub(text, r.key), secret.New(c.form.Get("pwd")))) }
	e := &Error{Action: c.action, Kind: f.kind, Status: f.status, After: f.after, Detail: clean(f.what), Err: f.err}
	if f.said != "" {
		e.Detail += fmt.Sprintf(": %q", cut(clean(f.said), maxExcerpt))
	}
	return e
}

// scrub takes a secret out of a text, also as a form or a web page spells it.
func scrub(text string, hidden secret.Secret) string {
	text = hidden.Scrub(text)
	for _, spelling := range []func(string) string{url.QueryEscape, url.PathEscape, html.EscapeString, goEscape} {
		text = secret.New(spelling(hidden.Reveal())).Scrub(text)
	}
	return text
}

// goEscape spells a text as %q does, which is how net/http quotes.
func goEscape(text string) string { return strings.Trim(strconv.Quote(text), `"`) }

// oneLine collapses blanks and line ends and drops control characters, so that a server cannot write lines of our log.
func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return -1
		}
		return c
	}, text)
}

func cut(text string, runes int) string {
	for i := range text {
		if runes == 0 {
			return text[:i] + "…"
		}
		runes--
	}
	return text
}
