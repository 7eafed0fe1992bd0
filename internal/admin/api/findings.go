package api

import "time"

// Findings is GET /api/v1/findings: what needs a look now. `nuthatch ctl status`, `top` and the
// page show it.
type Findings struct {
	Time   time.Time `json:"time"`
	Window *Window   `json:"window,omitempty"`
	// Fails: requests fail, or clients are turned away.
	Fails bool `json:"fails"`
	// Findings are what needs a look, what fails requests first.
	Findings []Finding `json:"findings"`
}

// Finding needs a look. It is about a server, a pool or, without either, the process.
type Finding struct {
	// Fails: requests fail for it, or clients are turned away.
	Fails bool `json:"fails"`
	// Kind is one of GET /api/v1/fields. Label has it in a word or two: of a server that is not
	// up its state.
	Kind   string `json:"kind"`
	Label  string `json:"label"`
	Pool   string `json:"pool,omitempty"`
	Server string `json:"server,omitempty"`
	// Address is the server's, if that is not its name.
	Address string `json:"address,omitempty"`
	// Reason is why, by its name in the statistics, Cause is that in words, and Follows what
	// follows.
	Reason  string `json:"reason,omitempty"`
	Cause   string `json:"cause,omitempty"`
	Follows string `json:"follows,omitempty"`
	// Text says all of it.
	Text string `json:"text"`
	// Title is Text without the details that may be others at each look. The log has them apart.
	Title string `json:"-"`
	// Help says what it means, and what to do.
	Help string `json:"help,omitempty"`
	// Since is when it began, and Until when it ends by itself, as far as they are known.
	Since *time.Time `json:"since,omitempty"`
	Until *time.Time `json:"until,omitempty"`
	// Last is when there was the last sign of it, if that is not now and known.
	Last *time.Time `json:"-"`
	// Step is how far it has gone, of a bound: 0 is near, and each further one worse.
	Step int `json:"-"`
}

// Explained is a word of the API and what it means.
type Explained struct {
	Name string `json:"name"`
	// Text says it in words, Help what it means, and what to do.
	Text string `json:"text"`
	Help string `json:"help"`
}
