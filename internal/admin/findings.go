package admin

import (
	"net/http"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// What needs a look.

// findings shows what needs a look of one pool, or of all, and of the process. What is
// recent is of a window.
func (h *handler) findings(w http.ResponseWriter, r *http.Request) {
	of, ok := windowAsked(w, r)
	if !ok {
		return
	}
	found, err := h.look(r.FormValue("pool"), of)
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, found)
}

// reasons are the reasons of the statistics, with what they mean.
func reasons() []api.Explained {
	var shown []api.Explained
	for r := msg.OK + 1; r < msg.NumReasons; r++ {
		shown = append(shown, api.Explained{Name: r.Name(), Text: r.String(), Help: r.Meaning() + " " + r.Advice()})
	}
	return shown
}

// errorMeanings are the prefixes of error replies that mean a fault of the server.
func errorMeanings() []api.Explained {
	var shown []api.Explained
	for _, prefix := range stats.ServerFaults {
		shown = append(shown, api.Explained{Name: prefix, Text: prefix, Help: "The server's reply: " + stats.ErrorMeaning(prefix) + "."})
	}
	return shown
}
