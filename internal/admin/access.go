package admin

import (
	"net/http"
	"strings"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/config"
)

// An access is what a request may do.
type access uint8

const (
	noAccess access = iota
	reads
	acts
)

// isOpen reports whether everybody who connects may read.
func (h *handler) isOpen() bool {
	return h.unix || len(h.ReadTokens()) == 0 && (h.local || len(h.Tokens()) == 0)
}

// accessOf is what the request may do. A unix socket's mode says who connects. Everybody on
// the host can connect to a port, so actions need a token there. A wrong token is refused where
// none is needed, too: whoever sends one wants to know.
func (h *handler) accessOf(r *http.Request) access {
	if h.unix {
		return acts
	}
	all := h.Tokens()
	anybody := len(all) == 0 && h.Insecure() // who may read may act
	given := bearerOf(r)
	switch mayRead := isOneOf(h.ReadTokens(), given) || h.isOpen() && (given == "" || len(all) == 0); {
	case isOneOf(all, given), mayRead && anybody:
		return acts
	case mayRead:
		return reads
	}
	return noAccess
}

// bearerOf is the token that the request has; empty: none.
func bearerOf(r *http.Request) string {
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return given
}

// isOneOf compares given with all tokens, so that the time does not show which one matched.
func isOneOf(tokens []config.Secret, given string) bool {
	good := false
	for _, t := range tokens {
		good = t.Equal([]byte(given)) || good
	}
	return good
}

// failAccess refuses a request that needs a token, and has none or a wrong one.
func failAccess(w http.ResponseWriter) {
	w.Header().Set("WWW-Authenticate", `Bearer realm="nuthatch"`)
	fail(w, http.StatusUnauthorized, "a token is needed: Authorization: Bearer ...")
}

// failAction refuses an action, and says where it is accepted.
func (h *handler) failAction(w http.ResponseWriter, r *http.Request) {
	if len(h.Tokens()) > 0 && bearerOf(r) == "" {
		failAccess(w)
		return
	}
	fault := api.Fault{Socket: h.ActionSocket()}
	switch {
	case len(h.Tokens()) > 0:
		fault.Error = "this token is for reading alone; an action needs the one of 'admin_token' or 'admin_token_file'"
	case fault.Socket == "":
		fault.Error = "an action needs a token here: set 'admin_socket' or 'admin_token_file'"
	default:
		fault.Error = "an action needs a token here; without one, use the unix socket " + fault.Socket
	}
	write(w, http.StatusForbidden, fault)
}
