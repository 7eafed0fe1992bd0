package api

import (
	"bytes"
	"math"
	"strconv"
	"time"
)

// History is GET /api/v1/history: what the process did, or a pool (pool=P), or a server
// (pool=P&server=S), in the last hour, or as far back as it is kept. With column=C it is one
// column of each server of a pool.
type History struct {
	Time   time.Time `json:"time"`
	Pool   string    `json:"pool,omitempty"`
	Server string    `json:"server,omitempty"`
	Column string    `json:"column,omitempty"`
	// Step is the usual time from one value to the next, in seconds.
	Step float64 `json:"step"`
	// At are the times of the values, in milliseconds since the Unix epoch, the oldest
	// first.
	At []int64 `json:"at"`
	// Values are, by column, as many values as there are times. With column=C they are by
	// server. What is not known is null.
	//
	// Of the process and of pools: requests, failed (a second); p50, p99, p999 (seconds;
	// of the process those of the slowest pool); clients; received, sent (bytes a second,
	// from and to clients); and, of the process alone, memory (bytes) and busy (the share
	// of the busiest loop). Of servers: requests, failed, errors (a second); p50, p99
	// (seconds); queue; up (1 or 0).
	Values map[string]Values `json:"values"`
}

// Values are numbers of four digits; NaN, which JSON has as null, is not known.
type Values []float32

// MarshalJSON implements json.Marshaler.
func (v Values) MarshalJSON() ([]byte, error) {
	text := make([]byte, 0, 2+8*len(v))
	text = append(text, '[')
	for i, x := range v {
		if i > 0 {
			text = append(text, ',')
		}
		if f := float64(x); math.IsNaN(f) || math.IsInf(f, 0) {
			text = append(text, "null"...)
		} else {
			text = strconv.AppendFloat(text, f, 'g', 4, 32)
		}
	}
	return append(text, ']'), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (v *Values) UnmarshalJSON(text []byte) error {
	*v = Values{}
	text = bytes.Trim(text, "[] \n\t")
	if len(text) == 0 {
		return nil
	}
	for word := range bytes.SplitSeq(text, []byte(",")) {
		word = bytes.TrimSpace(word)
		if string(word) == "null" {
			*v = append(*v, float32(math.NaN()))
			continue
		}
		f, err := strconv.ParseFloat(string(word), 32)
		if err != nil {
			return err
		}
		*v = append(*v, float32(f))
	}
	return nil
}
