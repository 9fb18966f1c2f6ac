package ppmssim

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
)

const maxBody = 1 << 20

// Handler serves PUMAPI at /pumapi/, also below the name of an instance, as PPMS does: /INSTANCE/pumapi/. Without the
// trailing slash the answer is 405.
func (s *Sim) Handler() http.Handler { return http.HandlerFunc(s.serve) }

// Start serves on a free port of the loopback interface, until stop is called; stop ends calls that are under way. The URL
// ends with /pumapi/.
func (s *Sim) Start() (address string, stop func(), err error) {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: s.Handler(), ReadHeaderTimeout: 10 * time.Second, ErrorLog: zap.NewStdLog(s.log)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("simulator ended", zap.Error(err))
		}
	}()
	stop = sync.OnceFunc(func() {
		_ = server.Close()
		<-done
	})
	return "http://" + listener.Addr().String() + "/pumapi/", stop, nil
}

func (s *Sim) serve(w http.ResponseWriter, r *http.Request) {
	slash := strings.HasSuffix(r.URL.Path, "/pumapi/")
	switch {
	case !slash && !strings.HasSuffix(r.URL.Path, "/pumapi"):
		http.NotFound(w, r)
		return
	case !slash || r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "Method Not Allowed", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return // the client went, or sends without end
	}
	// As with PPMS, the query of the URL counts for nothing, and what of the body cannot be read is not there.
	params, _ := url.ParseQuery(string(body))
	if !wait(r.Context(), s.latency) {
		return
	}
	result := s.call(params)
	s.log.Debug("request", zap.String("action", result.action), zap.Int("bytes", len(result.body)),
		zap.Bool("fault", result.fault != nil), zap.Error(result.err))
	if result.err != nil {
		http.Error(w, "the simulator cannot keep its state", http.StatusInternalServerError)
		return
	}
	s.send(w, r, result)
}

// send writes the answer, or fails to.
func (s *Sim) send(w http.ResponseWriter, r *http.Request, x result) {
	body, length := x.body, len(x.body)
	var kind FaultKind
	if x.fault != nil {
		kind = x.fault.Kind
	}
	switch kind {
	case FaultResetBefore, FaultResetAfter:
		reset(w)
		return
	case FaultHang, FaultHangAfter:
		<-r.Context().Done()
		return
	case FaultDelay:
		if !wait(r.Context(), x.fault.pause(time.Second)) {
			return
		}
	case FaultRedirect:
		w.Header().Set("Location", x.fault.redirectTo())
		w.WriteHeader(http.StatusTemporaryRedirect)
		return
	case FaultCutHalf:
		body = body[:length/2]
		length = len(body)
	case FaultCutLength:
		body = body[:length/2]
	case FaultError, FaultHTML, FaultEmpty, FaultUnauthorized, FaultStatus, FaultGarbage, FaultCutLine, FaultOmit,
		FaultWrongLogin, FaultShorten, FaultSlow, FaultNothing: // are in the body, or below
	}
	w.Header().Set("Content-Type", x.contentType)
	w.Header().Set("Content-Length", strconv.Itoa(length))
	if kind == FaultStatus {
		w.WriteHeader(x.fault.status(w.Header()))
	}
	if kind == FaultSlow {
		drip(r.Context(), w, body, x.fault.pause(10*time.Millisecond))
		return
	}
	_, _ = io.WriteString(w, body) // a client that went is no error of ours
}

// status is the code, and sets the header that goes with it.
func (f *Fault) status(h http.Header) int {
	code, after, _ := strings.Cut(f.Arg, "/")
	if after != "" {
		h.Set("Retry-After", after)
	}
	if n, err := strconv.Atoi(code); err == nil {
		return n
	}
	return http.StatusInternalServerError
}

// drip sends a byte at a time.
func drip(ctx context.Context, w http.ResponseWriter, body string, pause time.Duration) {
	flush := http.NewResponseController(w)
	for i := range len(body) {
		if _, err := io.WriteString(w, body[i:i+1]); err != nil || flush.Flush() != nil || !wait(ctx, pause) {
			return
		}
	}
}

// reset ends the connection with RST, so that the client sees no end of an answer but a failure.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // over HTTP/2, or in a recorder: the nearest thing
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// wait says whether the client is still there after the pause.
func wait(ctx context.Context, pause time.Duration) bool {
	if pause <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
