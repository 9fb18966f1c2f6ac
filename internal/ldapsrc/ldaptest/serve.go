package ldaptest

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"

	ber "github.com/go-asn1-ber/asn1-ber"
)

// Options describe a server. Who is neither BindDN nor allowed in otherwise sees the root DSE only.
type Options struct {
	Entries        []Entry
	BindDN         string // may bind with Password
	Password       string
	AllowAnonymous bool // search without a bind

	// OnBind, if set, answers simple binds in place of the check of BindDN and Password: a result code and a diagnostic message.
	OnBind func(dn, password string) (code int, text string)

	TLS      *tls.Config // every connection starts with TLS (ldaps)
	StartTLS *tls.Config // a plain connection may go over to TLS

	SizeLimit   int // entries that one search may return, all its pages together; 0 means any number
	MaxPageSize int // larger pages are cut to it, and a search without paging fails behind it with size limit exceeded

	// MaxValRange, if set, is how many values of an attribute are returned at once. Of one that has more, the reply has the
	// attribute without values and a first part like member;range=0-1499, and the client has to ask for the others, as in
	// Active Directory.
	MaxValRange int
	// References are sent with every subtree search at a naming context, unless the request has the domain scope control, as in
	// Active Directory.
	References []string
	// Operational are the attributes that are only returned by name or for "+". If nil, they are OpenLDAP's, memberOf included.
	Operational []string
	// RootDSE is added to the root DSE, or replaces what it has.
	RootDSE map[string][]string

	Faults []Fault
}

// Server is a directory in memory. Its methods may be called at any time, from any goroutine.
type Server struct {
	options Options
	content atomic.Pointer[content]
	done    chan struct{}
	wait    sync.WaitGroup

	mu        sync.Mutex
	closed    bool
	listeners []net.Listener
	open      map[net.Conn]bool
	accepted  int // connections so far
	faults    []Fault
	struck    []int // how often each fault did
	seen      []SearchSeen
}

var errClosed = errors.New("ldaptest: the server is closed")

// New makes a server; Start or Serve lets it answer.
func New(o Options) *Server {
	s := &Server{options: o, done: make(chan struct{}), open: map[net.Conn]bool{}}
	s.SetEntries(o.Entries)
	s.SetFaults(o.Faults...)
	return s
}

// Start listens on a free port of 127.0.0.1 and returns the URL, ldap:// or ldaps://.
func (s *Server) Start() (url string, err error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	if !s.track(l) {
		return "", errClosed
	}
	s.wait.Go(func() { _ = s.accept(l) })
	if s.options.TLS != nil {
		return "ldaps://" + l.Addr().String(), nil
	}
	return "ldap://" + l.Addr().String(), nil
}

// Serve answers on a listener, which may be one in memory, and takes it over. It returns nil after Close.
func (s *Server) Serve(l net.Listener) error {
	if !s.track(l) {
		return errClosed
	}
	return s.accept(l)
}

// Close ends all connections, also those that stall, and waits until nothing of the server runs any more.
func (s *Server) Close() {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.done)
		for _, l := range s.listeners {
			_ = l.Close()
		}
		for c := range s.open {
			_ = c.Close()
		}
	}
	s.mu.Unlock()
	s.wait.Wait()
}

// SetEntries replaces the content. Paged searches under way go on with the old one.
func (s *Server) SetEntries(entries []Entry) { s.content.Store(newContent(entries)) }

// SetFaults replaces the faults and forgets how often the old ones struck.
func (s *Server) SetFaults(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults, s.struck = faults, make([]int, len(faults))
}

// Searches lists the search requests seen so far, in their order.
func (s *Server) Searches() []SearchSeen {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

func (s *Server) track(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = l.Close()
		return false
	}
	s.listeners = append(s.listeners, l)
	return true
}

func (s *Server) accept(l net.Listener) error {
	for {
		raw, err := l.Accept()
		if err != nil {
			select {
			case <-s.done:
				return nil
			default:
				return err
			}
		}
		s.mu.Lock()
		if s.closed {
			_ = raw.Close()
		} else {
			s.open[raw] = true
			s.accepted++
			c := &conn{server: s, Conn: raw, number: s.accepted}
			s.wait.Go(c.serve)
		}
		s.mu.Unlock()
	}
}

// conn is one client. It answers one request after the other.
type conn struct {
	net.Conn

	server  *Server
	reader  *bufio.Reader
	number  int
	secure  bool
	bound   bool
	boundAs string // DN
	cursors []*cursor
}

func (c *conn) serve() {
	raw := c.Conn
	defer func() {
		_ = raw.Close()
		c.server.mu.Lock()
		delete(c.server.open, raw)
		c.server.mu.Unlock()
	}()
	if c.server.options.TLS != nil {
		c.secureWith(c.server.options.TLS)
	} else {
		c.reader = bufio.NewReader(raw)
	}
	for {
		p, err := ber.ReadPacket(c.reader)
		if err != nil {
			return
		}
		req, err := parseRequest(p)
		if err != nil || !c.answer(req) {
			return
		}
	}
}

func (c *conn) secureWith(config *tls.Config) {
	c.Conn = tls.Server(c.Conn, config) // it shakes hands at the first read
	c.reader, c.secure = bufio.NewReader(c.Conn), true
}

// answer deals with one request and says whether the connection goes on.
func (c *conn) answer(req *request) bool {
	switch uint64(req.op.Tag) {
	case opUnbind:
		return false
	case opAbandon: // requests are answered one by one: it is too late
		return true
	case opBind:
		code, text := c.bind(req.op)
		return c.send(message(req.id, result(opBind+1, code, "", text)))
	case opSearch:
		return c.search(req)
	case opExtended:
		return c.extended(req)
	}
	return c.send(message(req.id, result(req.op.Tag+1, codeUnwilling, "", "the directory is read-only")))
}

func (c *conn) send(b []byte) bool {
	_, err := c.Write(b)
	return err == nil
}

// bind checks a BindRequest: version, name, and simple [0] or sasl [3].
func (c *conn) bind(op *ber.Packet) (code int, text string) {
	c.bound, c.boundAs = false, ""
	if len(op.Children) != 3 || number(op.Children[0]) != 3 {
		return codeProtocolError, "LDAP version 3 is spoken here"
	}
	dn, auth := op.Children[1].Data.String(), op.Children[2]
	if auth.Tag == 3 {
		return c.bindExternal(auth)
	}
	password := auth.Data.String()
	code, text = c.server.checkBind(dn, password)
	if code == codeSuccess && dn != "" {
		c.bound, c.boundAs = true, dn
	}
	return code, text
}

func (s *Server) checkBind(dn, password string) (code int, text string) {
	switch o := &s.options; {
	case o.OnBind != nil:
		return o.OnBind(dn, password)
	case dn == "" && password == "":
		if !o.AllowAnonymous {
			return codeInappropriateAuth, "anonymous bind disallowed"
		}
		return codeSuccess, ""
	case password == "": // RFC 4513, 5.1.2: a client that forgot the password must not believe that it is logged in
		return codeUnwilling, "unauthenticated bind (DN with no password) disallowed"
	case o.BindDN == "" || !sameDN(dn, o.BindDN) || password != o.Password:
		return codeInvalidCredentials, ""
	}
	return codeSuccess, ""
}

// bindExternal lets in whoever came with a client certificate that the TLS configuration accepted.
func (c *conn) bindExternal(sasl *ber.Packet) (code int, text string) {
	secure, ok := c.Conn.(*tls.Conn)
	if len(sasl.Children) == 0 || sasl.Children[0].Data.String() != "EXTERNAL" || !ok {
		return codeAuthNotSupported, "EXTERNAL over TLS is supported"
	}
	certs := secure.ConnectionState().PeerCertificates
	if len(certs) == 0 {
		return codeInappropriateAuth, "no client certificate"
	}
	c.bound, c.boundAs = true, certs[0].Subject.String()
	return codeSuccess, ""
}

const (
	oidStartTLS = "1.3.6.1.4.1.1466.20037"
	oidWhoAmI   = "1.3.6.1.4.1.4203.1.11.3"
)

func (c *conn) extended(req *request) bool {
	var oid string
	if len(req.op.Children) > 0 {
		oid = req.op.Children[0].Data.String()
	}
	switch config := c.server.options.StartTLS; {
	case oid == oidWhoAmI:
		who := ""
		if c.bound {
			who = "dn:" + c.boundAs
		}
		res := result(opExtended+1, codeSuccess, "", "")
		res.AppendChild(ber.NewString(ber.ClassContext, ber.TypePrimitive, 11, who, ""))
		return c.send(message(req.id, res))
	case oid == oidStartTLS && config != nil && !c.secure:
		if !c.send(message(req.id, result(opExtended+1, codeSuccess, "", ""))) {
			return false
		}
		c.secureWith(config)
		return true
	}
	return c.send(message(req.id, result(opExtended+1, codeProtocolError, "", "unsupported extended operation")))
}

// drain waits until the client goes, or the server is closed.
func (c *conn) drain() { _, _ = io.Copy(io.Discard, c.reader) }
