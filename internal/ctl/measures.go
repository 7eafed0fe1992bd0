package ctl

import (
	"fmt"
	"strconv"
	"time"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/units"
)

func (s *session) latency(args []string) error {
	var l api.Latencies
	if written, err := s.ask("/api/v1/latency", s.poolQuery(args), &l); written || err != nil {
		return err
	}
	return s.table("POOL\tCOMMAND\tFAMILY\tREQUESTS\tP50\tP90\tP99\tP99.9\tMAX", func(add func(...any)) {
		for i := range l.Pools {
			for _, c := range l.Pools[i].Commands {
				add(l.Pools[i].Pool, c.Command, c.Family, c.Count,
					units.Seconds(c.P50), units.Seconds(c.P90), units.Seconds(c.P99), units.Seconds(c.P999), units.Seconds(c.Max))
			}
		}
	})
}

func (s *session) slowlog(args []string) error {
	query := s.poolQuery(args)
	s.limit(query)
	var l api.SlowLog
	if written, err := s.ask("/api/v1/slowlog", query, &l); written || err != nil {
		return err
	}
	head := "TIME\tPOOL\tCOMMAND\tKEY\tTOOK\tCONNECT\tQUEUE\tSERVER\tTURN\tAT\tCLIENT\tERROR"
	return s.table(head, func(add func(...any)) {
		for i := range l.Entries {
			e := &l.Entries[i]
			key := orDash(KeyText(e.Key, e.KeyLength))
			if e.Keys > 1 {
				key += fmt.Sprintf(" (%d keys)", e.Keys)
			}
			add(e.Time.Local().Format(time.DateTime), e.Pool, e.Command, key, units.Seconds(e.Duration),
				units.Seconds(e.Connect), units.Seconds(e.Queue), units.Seconds(e.ServerTime), units.Seconds(e.Turn), orDash(e.Server), e.Client, orDash(e.Error))
		}
	})
}

func (s *session) hotkeys(args []string) error {
	query := s.poolQuery(args)
	s.limit(query)
	var h api.HotKeys
	if written, err := s.ask("/api/v1/hotkeys", query, &h); written || err != nil {
		return err
	}
	return s.table("POOL\tWHAT\tKEY\tPER SECOND\tWITHIN\tSHARE\tSIZE\tCOMMAND\tSERVER", func(add func(...any)) {
		for i := range h.Pools {
			p := &h.Pools[i]
			for _, k := range p.Keys {
				share := "-"
				if k.Share > 0 {
					share = fmt.Sprintf("%.1f%%", k.Share*100)
				}
				add(p.Pool, "hot", KeyText(k.Key, k.KeyLength), strconv.FormatFloat(k.Rate, 'f', 1, 64), within(k), share, "-", "-", orDash(k.Server))
			}
			for _, k := range p.BigRequests {
				add(p.Pool, "large request", KeyText(k.Key, k.KeyLength), "-", "-", "-", units.Size(int64(k.Size)), k.Command, orDash(k.Server))
			}
			for _, k := range p.BigReplies {
				add(p.Pool, "large reply", KeyText(k.Key, k.KeyLength), "-", "-", "-", units.Size(int64(k.Size)), k.Command, orDash(k.Server))
			}
		}
	})
}

// within is how exact a rate is.
func within(k api.HotKey) string {
	if k.Rate == 0 {
		return "-"
	}
	return fmt.Sprintf("±%.0f%%", 100*k.Error/k.Rate)
}

// KeyText shows a key of which only the beginning is known.
func KeyText(key string, length int) string {
	if len(key) < length {
		return Plain(key) + fmt.Sprintf("... (%d bytes)", length)
	}
	return Plain(key)
}
