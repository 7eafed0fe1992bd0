package admin

import (
	"encoding/json"
	"errors"
	"maps"
	"mime"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"strings"
	"time"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/config"
	"nuthatch/internal/inet"
)

// A handler answers what comes to the admin listener:
//
//	request ─► headers, size ─► from a page? ─► token ─► route ─► JSON
//	              │               │               └ 401
//	              │               └ 403: a page of another site asks
//	              └ 404, 405
//
// Nothing here runs on an event loop; Instance asks the loops.
type handler struct {
	// static after construction
	HTTPOptions
	// local: only this host's users can connect, and unix: by a unix socket.
	local, unix bool
	mux         *http.ServeMux
	origins     *http.CrossOriginProtection

	present
	budget *Budget
}

func newHandler(addr config.Address, o HTTPOptions) http.Handler {
	h := &handler{
		HTTPOptions: o,
		local:       addr.IsLocal(),
		unix:        addr.Network == config.NetworkUnix,
		mux:         http.NewServeMux(),
		origins:     http.NewCrossOriginProtection(),
		present:     presentOf(o.Instance, o.Recorder),
	}
	if h.ReadTokens == nil {
		h.ReadTokens = func() []config.Secret { return nil }
	}
	if h.budget = o.Budget; h.budget == nil {
		h.budget = NewBudget(o.Instance.AnswerMemory)
	}
	for pattern, f := range h.routes() {
		h.mux.HandleFunc(pattern, f)
	}
	return http.MaxBytesHandler(h, maxHTTPBody)
}

// routes are all paths that need a token.
func (h *handler) routes() map[string]http.HandlerFunc {
	routes := map[string]http.HandlerFunc{
		"GET /healthz":             h.healthz,
		"GET /readyz":              h.readyz,
		"GET /metrics":             h.counted(metricsCost, metricsHandler(h.Instance, &h.snapshots, &h.latencies).ServeHTTP),
		"GET /api/v1/info":         h.info,
		"GET /api/v1/pools":        h.counted(perServer(statesPerServer), h.pools),
		"GET /api/v1/servers":      h.counted(perServer(statesPerServer), h.servers),
		"GET /api/v1/findings":     h.counted(perServer(statesPerServer), h.findings),
		"GET /api/v1/fields":       h.fields,
		"GET /api/v1/clients":      h.counted(h.costOfClients, h.clients),
		"GET /api/v1/latency":      h.counted(perServer(latenciesPerServer), h.latency),
		"GET /api/v1/slowlog":      h.counted(costOfEntries, h.slowlog),
		"GET /api/v1/denials":      h.counted(costOfDenials, showDenials(h)),
		"GET /api/v1/events":       h.counted(costOfEvents, h.events),
		"GET /api/v1/history":      h.counted(costOfHistory, h.history),
		"GET /api/v1/hotkeys":      h.counted(costOfKeys, h.hotkeys),
		"GET /api/v1/where":        h.counted(costOfWhere, h.where),
		"GET /api/v1/config":       h.counted(perServer(settingsPerServer), h.config),
		"GET /debug/pprof/":        h.pprof(pprof.Index),
		"GET /debug/pprof/cmdline": h.pprof(pprof.Cmdline),
		"GET /debug/pprof/profile": h.pprof(pprof.Profile),
		"GET /debug/pprof/symbol":  h.pprof(pprof.Symbol),
		"GET /debug/pprof/trace":   h.pprof(pprof.Trace),
	}
	maps.Copy(routes, h.actions())
	// A check of HAProxy's asks with OPTIONS unless it is told otherwise, and for "/".
	routes["OPTIONS /healthz"], routes["OPTIONS /readyz"], routes["OPTIONS /{$}"] = h.healthz, h.readyz, h.healthz
	if h.Page != nil {
		routes["GET /{$}"] = h.Page.ServeHTTP
		routes["GET /page/"] = h.Page.ServeHTTP
	}
	return routes
}

// open reports whether a path needs no token.
func open(path string) bool {
	return path == "/" || path == "/healthz" || path == "/readyz" || strings.HasPrefix(path, "/page/")
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("X-Frame-Options", "DENY")
	head.Set("Referrer-Policy", "no-referrer")
	head.Set("Cross-Origin-Resource-Policy", "same-origin")
	head.Set("Cache-Control", "no-store")
	head.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")

	found, pattern := h.mux.Handler(r)
	if pattern == "" {
		h.notFound(w, r, found)
		return
	}
	if why := h.suspect(r); why != "" {
		fail(w, http.StatusForbidden, why)
		return
	}
	may := h.accessOf(r)
	if may == noAccess && !open(r.URL.Path) {
		failAccess(w)
		return
	}
	if isAction(r) && may != acts {
		h.failAction(w, r)
		return
	}
	h.mux.ServeHTTP(w, r)
}

// isAction reports whether the request changes anything.
func isAction(r *http.Request) bool {
	return !onlyReads(r) && r.URL.Path != previewPath
}

// onlyReads reports whether the method is one that changes nothing.
func onlyReads(r *http.Request) bool {
	return r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions
}

// notFound answers a request that has no route; found is the mux's handler for
// it.
func (h *handler) notFound(w http.ResponseWriter, r *http.Request, found http.Handler) {
	judge := &verdict{head: make(http.Header)}
	found.ServeHTTP(judge, r)
	if judge.status != http.StatusMethodNotAllowed {
		fail(w, http.StatusNotFound, "no such path; docs/API.md lists them")
		return
	}
	allow := judge.head.Get("Allow")
	w.Header().Set("Allow", allow)
	fail(w, judge.status, "the method is not one of "+allow)
}

// A verdict is a ResponseWriter that keeps only the head of an answer.
type verdict struct {
	head   http.Header
	status int
}

func (v *verdict) Header() http.Header         { return v.head }
func (v *verdict) Write(b []byte) (int, error) { return len(b), nil }
func (v *verdict) WriteHeader(status int)      { v.status = status }

// suspect tells what is wrong with a request that a browser may have sent for a
// page of another site; empty if nothing is.
func (h *handler) suspect(r *http.Request) string {
	// After DNS rebinding a page has the same origin as this listener, but its
	// Host header shows the name. A request with a token is no such one, since the
	// page has none. admin_insecure allows everything. A check by HTTP/1.0 has no Host;
	// a browser always sends one.
	if h.local && !h.unix && h.isOpen() && !isOneOf(h.Tokens(), bearerOf(r)) && r.Host != "" && !trustedHost(r.Host) {
		return "the Host header names neither an IP address nor localhost"
	}
	if err := h.origins.Check(r); err != nil {
		return "an action must not come from a page of another site"
	}
	if onlyReads(r) {
		return ""
	}
	// Without permission a page of another site can send only what a form can
	// send.
	switch kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind {
	case "application/json", "application/yaml":
		return ""
	}
	return "an action needs the header Content-Type: application/json"
}

// trustedHost reports whether a Host header is an address or localhost, which
// DNS rebinding cannot fake.
func trustedHost(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	name = strings.Trim(name, "[]")
	if strings.EqualFold(name, "localhost") {
		return true
	}
	_, err = netip.ParseAddr(inet.Canonical(name))
	return err == nil
}

// pprof is a profile, if the configuration has them. One may take longer than
// other answers.
func (h *handler) pprof(f http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if conf, _ := h.Instance.InForce(); !conf.Process.AdminPprof {
			fail(w, http.StatusNotFound, "profiles are off; admin_pprof turns them on")
			return
		}
		// The index is a page with links and a little style of its own.
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
		// A server that sets no deadlines needs none to be lifted.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
		f(w, r)
	}
}

// answer writes a body of the API.
func answer(w http.ResponseWriter, body any) {
	write(w, http.StatusOK, body)
}

// answerCompact writes a body of very many numbers, in one line.
func answerCompact(w http.ResponseWriter, body any) {
	text, err := json.Marshal(body)
	writeText(w, http.StatusOK, text, err)
}

func write(w http.ResponseWriter, status int, body any) {
	text, err := json.MarshalIndent(body, "", "  ")
	writeText(w, status, text, err)
}

func writeText(w http.ResponseWriter, status int, text []byte, err error) {
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"error": "the answer cannot be written as JSON"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// The client may have gone.
	_, _ = w.Write(append(text, '\n'))
}

// fail writes a fault.
func fail(w http.ResponseWriter, status int, why string) {
	write(w, status, api.Fault{Error: why})
}

// refuse writes why a request failed, with the status for it.
func refuse(w http.ResponseWriter, err error) {
	fault := api.Fault{Error: err.Error()}
	status := http.StatusInternalServerError
	var faults config.Errors
	switch {
	case errors.As(err, &faults):
		status = http.StatusUnprocessableEntity
		for _, f := range faults {
			fault.Reasons = append(fault.Reasons, f.Error())
		}
	case errors.Is(err, ErrNoPool), errors.Is(err, ErrNoServer), errors.Is(err, ErrNoClient):
		status = http.StatusNotFound
	case errors.Is(err, ErrBusy), errors.Is(err, ErrUpgrading), errors.Is(err, ErrNoFile):
		status = http.StatusConflict
	case errors.Is(err, ErrEnding), errors.Is(err, ErrCrowded):
		status = http.StatusServiceUnavailable
	case errors.Is(err, ErrTooLarge):
		status = http.StatusInsufficientStorage
	}
	write(w, status, fault)
}
