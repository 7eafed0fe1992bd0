// Package ctl is the client of the admin listener: it asks a running proxy,
// requests actions, and writes the answers for people.
package ctl

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/config"
	"nuthatch/internal/inet"
	"nuthatch/internal/regularfile"
	"nuthatch/internal/socket"
)

// DefaultAddress is the default address of the admin listener.
const DefaultAddress = "127.0.0.1:22223"

const (
	// timeout is how long an answer may take: an upgrade waits a minute for the
	// new program.
	timeout = 90 * time.Second
	// connectTimeout is how long a connection, and TLS on it, may take to be made, and
	// readTimeout how long the answer to a question may take to begin. The proxy gives an
	// answer up that gets no memory for five seconds.
	connectTimeout, readTimeout = 10 * time.Second, 10 * time.Second
	// maxAnswer is the most bytes of an answer.
	maxAnswer = 256 << 20
	// maxTokenFile is the most bytes of a token's file.
	maxTokenFile = 4096
)

// ErrNoAnswer means that no proxy answered.
var ErrNoAnswer = errors.New("no answer from the proxy")

// A Target is a running proxy.
type Target struct {
	// Address is its admin listener: host:port, the path of a unix socket, or a URL.
	Address string
	// Token is the one that it requires; may be empty.
	Token string
	// Security is how it is connected to with TLS.
	Security Security
	// ConfigFile is the absolute path of the configuration file that it must run with;
	// empty: any.
	ConfigFile string
}

// Of is the target that a configuration file describes: its socket for actions if
// there is one, or else its admin listener, and the token if this user may read it.
func Of(conf *config.Config, file string) (Target, error) {
	absolute, err := filepath.Abs(file)
	if err != nil {
		return Target{}, err
	}
	p := &conf.Process
	if path := actionSocket(p.AdminSocket, absolute); path != "" {
		return Target{Address: path, ConfigFile: absolute}, nil
	}
	if p.Admin.Network == "" {
		return Target{}, errors.New("the configuration turns the admin listener off")
	}
	t := Target{Address: reachable(p.Admin), ConfigFile: absolute}
	if p.Admin.Network == config.NetworkTCP {
		t.Security.Shown = p.AdminTLS.Cert
	}
	if p.Admin.Network == config.NetworkUnix {
		return t, nil
	}
	t.Token, err = tokenOf(p)
	return t, err
}

// tokenOf is the token that this user has for the proxy: one for everything or, if that
// cannot be read, one for reading.
func tokenOf(p *config.Process) (string, error) {
	token, err := firstToken(p.AdminToken, p.AdminTokenEnv, p.AdminTokenFile)
	if token != "" {
		return token, nil
	}
	reading, readErr := firstToken(p.AdminReadToken, p.AdminReadTokenEnv, p.AdminReadTokenFile)
	if reading != "" {
		return reading, nil
	}
	return "", errors.Join(err, readErr)
}

func firstToken(written config.Secret, variable, file string) (string, error) {
	token := written.Reveal()
	if token == "" && variable != "" {
		token = os.Getenv(variable)
	}
	if token != "" || file == "" {
		return token, nil
	}
	return ReadToken(file)
}

// OfFaulty is the target that a faulty file still has: the socket that a proxy with this file
// makes by itself or, if there is none, what can be read of the file about the admin listener.
func OfFaulty(file string) (Target, error) {
	absolute, err := filepath.Abs(file)
	if err != nil {
		return Target{}, err
	}
	if path := actionSocket(config.Address{Network: config.NetworkAuto}, absolute); path != "" {
		return Target{Address: path, ConfigFile: absolute}, nil
	}
	p, err := config.ProcessOf(file)
	if err != nil {
		return Target{}, err
	}
	return Of(&config.Config{Process: *p}, file)
}

// actionSocket is the path of the socket for actions of a proxy with this file; empty
// if this user may connect to none.
func actionSocket(a config.Address, file string) string {
	var paths []string
	switch a.Network {
	case config.NetworkUnix:
		paths = []string{a.Path}
	case config.NetworkAuto:
		names := []string{config.AdminSocketName(file)}
		if behind, err := filepath.EvalSymlinks(file); err == nil && behind != file {
			names = append(names, config.AdminSocketName(behind))
		}
		for _, dir := range config.AdminSocketDirs() {
			for _, name := range names {
				paths = append(paths, filepath.Join(dir, name))
			}
		}
	}
	for _, path := range paths {
		if socket.MayConnect(path) {
			return path
		}
	}
	return ""
}

// reachable is an address to connect to, for one that is listened on.
func reachable(a config.Address) string {
	if ip := net.ParseIP(a.Host); ip != nil && ip.IsUnspecified() {
		a.Host = "127.0.0.1"
		if ip.To4() == nil {
			a.Host = "::1"
		}
	}
	return a.String()
}

// ReadToken reads a token from a file.
func ReadToken(path string) (string, error) {
	text, err := regularfile.Read(path, maxTokenFile)
	return strings.TrimSpace(string(text)), err
}

// A Client talks to one admin listener.
type Client struct {
	target Target
	base   string
	// questions is for what only reads, actions for what may last.
	questions, actions http.Client
	// known is the proxy's answer to Identify.
	known *api.Info
}

// NewClient returns a client of the target. It connects when it is first used.
func NewClient(t Target) (*Client, error) {
	c := &Client{base: "http://nuthatch", target: t}
	// No HTTP proxy of the environment gets the token.
	secure, err := t.Security.config()
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: connectTimeout}
	transport := &http.Transport{TLSClientConfig: secure, TLSHandshakeTimeout: connectTimeout, DialContext: dialer.DialContext}
	switch {
	case strings.HasPrefix(t.Address, "/"):
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", t.Address)
		}
	case strings.Contains(t.Address, "://"):
		u, err := url.Parse(t.Address)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, fmt.Errorf("%q is no http:// or https:// address", t.Address)
		}
		c.base = u.Scheme + "://" + inet.CanonicalHostPort(u.Host) + strings.TrimSuffix(u.Path, "/")
	default:
		if _, _, err := net.SplitHostPort(t.Address); err != nil {
			return nil, noAddress(t.Address)
		}
		c.base = "http://" + inet.CanonicalHostPort(t.Address)
		if t.Security.on() {
			c.base = "https://" + inet.CanonicalHostPort(t.Address)
		}
	}
	quick := transport.Clone()
	quick.ResponseHeaderTimeout = readTimeout
	c.questions, c.actions = clientOf(quick), clientOf(transport)
	return c, nil
}

func clientOf(transport *http.Transport) http.Client {
	return http.Client{
		Transport: transport, Timeout: timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// noAddress says what an address lacks.
func noAddress(text string) error {
	host := strings.Trim(text, "[]")
	_, isFile := os.Stat(text)
	switch {
	case isFile == nil:
		return fmt.Errorf("%q is no host:port, path or URL; a socket's path begins with /", text)
	case text != "" && (net.ParseIP(host) != nil || !strings.ContainsAny(host, "/: ")):
		_, port, _ := net.SplitHostPort(DefaultAddress)
		return fmt.Errorf("%q is no host:port, path or URL: the port is missing; write %s", text, net.JoinHostPort(host, port))
	}
	return fmt.Errorf("%q is no host:port, path or URL", text)
}

// A RefusedError is an answer with an error.
type RefusedError struct {
	Status int
	api.Fault
}

// Error implements error.
func (r *RefusedError) Error() string {
	if len(r.Reasons) > 1 || len(r.Reasons) == 1 && r.Reasons[0] != r.Fault.Error {
		return strings.Join(r.Reasons, "\n")
	}
	return r.Fault.Error
}

// ErrOther means that another proxy answers than the one of the file.
var ErrOther = errors.New("another proxy answers")

// Identify asks the proxy who it is, once. It fails if another proxy answers:
// that one may have the default address.
func (c *Client) Identify(ctx context.Context) (*api.Info, error) {
	if c.known != nil {
		return c.known, nil
	}
	text, err := c.do(ctx, http.MethodGet, infoPath, "", nil)
	if err != nil {
		return nil, err
	}
	var info api.Info
	if json.Unmarshal(text, &info) != nil || info.Program == "" {
		return nil, c.noNuthatch("an answer")
	}
	if want := c.target.ConfigFile; want != "" && !sameFile(want, info.ConfigFile) {
		return nil, fmt.Errorf("%w at %s: process %d on %s, which runs with %s, not %s", ErrOther, c.target.Address, info.PID, info.Host,
			cmp.Or(info.ConfigFile, "no file"), want)
	}
	c.known = &info
	return c.known, nil
}

// verify fails if another proxy answers than the one of the file.
func (c *Client) verify(ctx context.Context) error {
	if c.target.ConfigFile == "" {
		return nil
	}
	_, err := c.Identify(ctx)
	return err
}

// sameFile reports whether two paths are of one file. The proxy's path may exist only
// in the proxy's container.
func sameFile(a, b string) bool {
	if a == b {
		return true
	}
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// Get requests a path and returns the answer unchanged.
func (c *Client) Get(ctx context.Context, path string, query url.Values) ([]byte, error) {
	if err := c.verify(ctx); err != nil {
		return nil, err
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return c.do(ctx, http.MethodGet, path, "", nil)
}

// Post requests an action; the body is order as JSON unless it is nil. If the action
// is refused and the answer names a socket for it, Post goes there.
func (c *Client) Post(ctx context.Context, path string, order any) ([]byte, error) {
	if err := c.verify(ctx); err != nil {
		return nil, err
	}
	var body []byte
	if order != nil {
		var err error
		if body, err = json.Marshal(order); err != nil {
			return nil, err
		}
	}
	text, err := c.do(ctx, http.MethodPost, path, "application/json", body)
	refused, ok := errors.AsType[*RefusedError](err)
	if !ok || refused.Socket == "" || !c.onThisHost() {
		return text, err
	}
	there, err := NewClient(Target{Address: refused.Socket})
	if err != nil {
		return nil, err
	}
	switch text, err = there.do(ctx, http.MethodPost, path, "application/json", body); {
	case errors.Is(err, os.ErrPermission):
		return nil, fmt.Errorf("%w, which this user may not use", refused)
	case errors.Is(err, ErrNoAnswer):
		return nil, fmt.Errorf("%w; %w", refused, err)
	}
	return text, err
}

// onThisHost reports whether the admin listener is an address of this host's loopback
// interface.
func (c *Client) onThisHost() bool {
	u, err := url.Parse(c.base)
	if err != nil || c.target.Address == "" || strings.HasPrefix(c.target.Address, "/") {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return ip != nil && ip.IsLoopback() || strings.EqualFold(u.Hostname(), "localhost")
}

// Preview asks what would change with the text of a configuration; nil: with what
// is in the proxy's file now.
func (c *Client) Preview(ctx context.Context, text []byte) ([]byte, error) {
	if err := c.verify(ctx); err != nil {
		return nil, err
	}
	return c.do(ctx, http.MethodPost, "/api/v1/preview", "application/yaml", text)
}

func (c *Client) do(ctx context.Context, method, path, kind string, body []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	if c.target.Token != "" {
		r.Header.Set("Authorization", "Bearer "+c.target.Token)
	}
	if u, err := user.Current(); err == nil {
		r.Header.Set("X-Nuthatch-User", u.Username)
	}
	by := &c.actions
	if method == http.MethodGet {
		by = &c.questions
	}
	answer, err := by.Do(r)
	if err != nil {
		return nil, c.noAnswer(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoAnswer, err)
	}
	// No question of nuthatch's has a page or an empty object as its answer.
	other := strings.HasPrefix(answer.Header.Get("Content-Type"), "text/html") ||
		method == http.MethodGet && string(bytes.TrimSpace(text)) == "{}"
	if answer.StatusCode == http.StatusOK && !other {
		return text, nil
	}
	if answer.StatusCode == http.StatusBadRequest && bytes.Contains(text, []byte("HTTP request to an HTTPS server")) {
		return nil, fmt.Errorf("%w: %s is an address with TLS; say --cacert, or -c with the proxy's configuration file", ErrNoAnswer, c.base)
	}
	refusal := &RefusedError{Status: answer.StatusCode}
	if json.Unmarshal(text, &refusal.Fault) != nil || refusal.Fault.Error == "" || c.isOther(ctx, refusal, path) {
		return nil, c.noNuthatch(answer.Status)
	}
	c.advise(refusal, method, path)
	return text, refusal
}
