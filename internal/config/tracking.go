package config

// Tracking is whether a Redis pool's clients may use CLIENT TRACKING.
type Tracking uint8

const (
	// TrackingOn lets them ask for it.
	TrackingOn Tracking = iota
	// TrackingOff refuses it.
	TrackingOff
)

var trackingNames = []string{TrackingOn: "on", TrackingOff: "off"}
