package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/config"
	"nuthatch/internal/topology"
)

// The HTTP side of actions. The Instance carries them out, and logs each with who asked
// for it: internal/daemon, actions.go, reload.go, drain.go and upgrade.go.

const (
	// defaultPause and maxPause bound how long a pool stays paused.
	defaultPause, maxPause = 30 * time.Second, time.Hour
	// settleTimeout is how long a pause waits for the requests in flight.
	settleTimeout = 10 * time.Second
)

// previewPath is the only POST that is not an action.
const previewPath = "/api/v1/preview"

func (h *handler) actions() map[string]http.HandlerFunc {
	const pool, server = "/api/v1/pools/{pool}", "/api/v1/pools/{pool}/servers/{server}"
	return map[string]http.HandlerFunc{
		"POST " + previewPath:            h.preview,
		"POST /api/v1/reload":            h.reload,
		"POST /api/v1/drain":             h.drain,
		"POST /api/v1/upgrade":           h.upgrade,
		"POST " + pool + "/pause":        h.pause,
		"POST " + pool + "/resume":       h.resume,
		"POST " + pool + "/reconnect":    h.reconnect,
		"POST " + server + "/disable":    h.disable,
		"POST " + server + "/enable":     h.enable,
		"POST " + server + "/reconnect":  h.reconnect,
		"POST /api/v1/clients/{id}/kill": h.kill,
		"DELETE /api/v1/clients/{id}":    h.kill,
	}
}

// done answers an action.
func (h *handler) done(w http.ResponseWriter, err error, what string) {
	if err != nil {
		refuse(w, err)
		return
	}
	facts := h.Instance.Facts()
	answer(w, api.Done{Done: what, PID: facts.PID, Host: facts.Host, ConfigFile: facts.ConfigFile})
}

// preview shows what the configuration in the body would change or, if the body
// is empty, what the file would change now. Whoever may only read is not told whether
// secrets in the body are those in force.
func (h *handler) preview(w http.ResponseWriter, r *http.Request) {
	taken := int64(0)
	take := func(n int64) error {
		err := h.budget.take(r.Context(), n)
		if err == nil {
			taken += n
		}
		return err
	}
	defer func() { h.budget.give(taken) }()
	length := r.ContentLength
	if length < 0 { // it does not say
		length = h.budget.share(maxHTTPBody, perConfigByte)
	}
	if err := take(length * perConfigByte); err != nil {
		refuse(w, err)
		return
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, length))
	if err != nil {
		failBody(w, err)
		return
	}
	var conf *config.Config
	if len(text) > 0 {
		if conf, err = config.Parse("preview", text); err != nil {
			refuse(w, err)
			return
		}
	}
	change, err := h.Instance.Preview(conf, h.accessOf(r) == acts, take)
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, change)
}

func (h *handler) reload(w http.ResponseWriter, r *http.Request) {
	change, err := h.Instance.Reload(whoAsks(r))
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, change)
}

func (h *handler) drain(w http.ResponseWriter, r *http.Request) {
	h.Instance.Drain(whoAsks(r))
	h.done(w, nil, "draining")
}

func (h *handler) upgrade(w http.ResponseWriter, r *http.Request) {
	h.done(w, h.Instance.Upgrade(whoAsks(r)), "another program has taken over, this one drains")
}

func (h *handler) pause(w http.ResponseWriter, r *http.Request) {
	order := api.PauseOrder{}
	if !decode(w, r, &order) {
		return
	}
	limit := defaultPause
	if order.Limit != 0 {
		limit = time.Duration(order.Limit * float64(time.Second))
	}
	if limit <= 0 || limit > maxPause {
		fail(w, http.StatusBadRequest, fmt.Sprintf("limit must be a number of seconds up to %d", maxPause/time.Second))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), settleTimeout)
	defer cancel()
	err := h.Instance.Pause(ctx, r.PathValue("pool"), limit, whoAsks(r))
	if errors.Is(err, ErrBusy) {
		err = fmt.Errorf("paused, but: %w", err)
	}
	h.done(w, err, "paused, and nothing is in flight")
}

func (h *handler) resume(w http.ResponseWriter, r *http.Request) {
	h.done(w, h.Instance.Resume(r.PathValue("pool"), whoAsks(r)), "resumed")
}

func (h *handler) reconnect(w http.ResponseWriter, r *http.Request) {
	h.done(w, h.Instance.Reconnect(r.PathValue("pool"), r.PathValue("server"), whoAsks(r)), "connections are replaced")
}

// disable takes a server out of service.
func (h *handler) disable(w http.ResponseWriter, r *http.Request) {
	order := api.DisableOrder{}
	if !decode(w, r, &order) {
		return
	}
	pool := r.PathValue("pool")
	service := h.Instance.OutOfService(pool)
	switch order.Keys {
	case "":
	case api.KeysMove:
		service = topology.OffTheRing
	case api.KeysFail:
		service = topology.Refused
	default:
		fail(w, http.StatusBadRequest, fmt.Sprintf("keys must be %q or %q", api.KeysMove, api.KeysFail))
		return
	}
	err := h.Instance.SetService(pool, r.PathValue("server"), service, whoAsks(r))
	what := "disabled: its keys go to the other servers"
	if service == topology.Refused {
		what = "disabled: requests for its keys fail"
	}
	h.done(w, err, what)
}

func (h *handler) enable(w http.ResponseWriter, r *http.Request) {
	err := h.Instance.SetService(r.PathValue("pool"), r.PathValue("server"), topology.InService, whoAsks(r))
	h.done(w, err, "enabled")
}

func (h *handler) kill(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
	if err != nil {
		fail(w, http.StatusBadRequest, "a client's id must be a number")
		return
	}
	h.done(w, h.Instance.KillClient(id, whoAsks(r)), "killed")
}

// decode reads the body, which may be empty. If it is wrong, decode writes the
// error and returns false.
func decode(w http.ResponseWriter, r *http.Request, order any) bool {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(order)
	if err == nil && d.More() {
		err = errors.New("more than one value")
	}
	if err == nil || errors.Is(err, io.EOF) {
		return true
	}
	failBody(w, err)
	return false
}

// failBody answers a request whose body is wrong.
func failBody(w http.ResponseWriter, err error) {
	if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		fail(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes", large.Limit))
		return
	}
	fail(w, http.StatusBadRequest, "the body: "+err.Error())
}
