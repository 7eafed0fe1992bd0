package api

import "time"

// Certificate is what is in use of a block of TLS.
type Certificate struct {
	// Pool is empty for admin_tls. Block is "tls", "server_tls", "sentinel_tls" or "admin_tls".
	Pool  string `json:"pool,omitempty"`
	Block string `json:"block"`
	// Until is when the first of its certificates ends; left out if it has none.
	Until *time.Time `json:"until,omitempty"`
	// SignersUntil is when the last certificate of client_ca, or of ca, ends; left out if there
	// is none, and of those of the system.
	SignersUntil *time.Time `json:"signers_until,omitempty"`
	// Refused is why the files as they are cannot be used. What was read before, if
	// anything, stays in use.
	Refused string `json:"refused,omitempty"`
}
