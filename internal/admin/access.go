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

// hasTokens reports whether a request needs a token.
func (h *handler) hasTokens() bool { return len(h.Tokens()) > 0 || len(h.ReadTokens()) > 0 }

// accessOf is what the request may do. A unix socket's mode says who connects. Everybody on
// the host can connect to a port, so actions need a token there.
func (h *handler) accessOf(r *http.Request) access {
	if h.unix {
		return acts
	}
	all, reading := h.Tokens(), h.ReadTokens()
	anybody := len(all) == 0 && h.Insecure() // who may read may act
	switch given := bearerOf(r); {
	case len(all)+len(reading) == 0 && anybody, isOneOf(all, given):
		return acts
	case len(all)+len(reading) == 0:
		return reads
	case isOneOf(reading, given) && anybody:
		return acts
	case isOneOf(reading, given):
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

// failAction refuses an action, and says where it is accepted.
func (h *handler) failAction(w http.ResponseWriter) {
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
