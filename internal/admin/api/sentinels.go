package api

import "time"

// Sentinels are what the sentinels of a pool know of its primaries.
type Sentinels struct {
	// Asked is when all of them were asked last, and Why: "start", "time" (every
	// resolve_interval, at the latest after 10 seconds, or while a primary is looked for),
	// "missed" (a server has failed, or is no primary) or "told" (one has told of a change).
	Asked *time.Time `json:"asked,omitempty"`
	Why   string     `json:"why,omitempty"`
	// Primaries are in the order of the configuration's servers.
	Primaries []SentinelPrimary `json:"primaries"`
	Sentinels []SentinelState   `json:"sentinels"`
}

// A SentinelPrimary is a primary that sentinels know.
type SentinelPrimary struct {
	// Name is what sentinels call it, and Address is where it is in use; empty: nobody has
	// said so yet. Epoch is that of its configuration there.
	Name    string `json:"name"`
	Address string `json:"address,omitempty"`
	Epoch   int64  `json:"epoch"`
	// Switched is when it was found at another address than before; left out if that was not
	// since the start.
	Switched *time.Time `json:"switched,omitempty"`
	// Problem is why it cannot be found; left out if it can.
	Problem string `json:"problem,omitempty"`
}

// A SentinelState is one sentinel.
type SentinelState struct {
	Address string `json:"address"`
	// Subscribed: it tells of changes by itself.
	Subscribed bool `json:"subscribed"`
	// Problem is why it is of no use, and Since is since when that, or the contrary, is so.
	Problem string     `json:"problem,omitempty"`
	Since   *time.Time `json:"since,omitempty"`
	// Asked is when it answered last, or did not, and Said is what it has last said of
	// primaries, by their names.
	Asked *time.Time              `json:"asked,omitempty"`
	Said  map[string]SentinelSaid `json:"said,omitempty"`
	// Doubted is why it is not believed, by the names of primaries; left out if it is.
	Doubted map[string]string `json:"doubted,omitempty"`
}

// A SentinelSaid is where a sentinel says that a primary is, by the configuration of that epoch.
type SentinelSaid struct {
	Address string `json:"address"`
	Epoch   int64  `json:"epoch"`
}
