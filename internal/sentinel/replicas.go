package sentinel

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"nuthatch/internal/redisclient"
)

// maxReplicas is how many replicas of one primary are taken note of.
const maxReplicas = 64

// errElsewhere means that the sentinel names another primary than most.
var errElsewhere = errors.New("it names another primary")

// Replicas are the addresses of the replicas of the primary of that name: those that any
// sentinel knows that names the primary's present place. ok is false if none does.
func (w *Watcher) Replicas(ctx context.Context, name string) (addrs []string, ok bool) {
	at := w.Place(name).Addr
	if at == "" {
		return nil, false
	}
	var mu sync.Mutex
	var asking sync.WaitGroup
	for _, p := range w.peers {
		asking.Go(func() {
			known, err := p.replicas(ctx, name, at)
			if err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			ok = true
			addrs = append(addrs, known...)
		})
	}
	asking.Wait()
	slices.Sort(addrs)
	addrs = slices.Compact(addrs)
	return addrs[:min(len(addrs), maxReplicas)], ok
}

// replicas asks a sentinel for the replicas of the primary of that name, if it names that
// place.
func (p *peer) replicas(ctx context.Context, name, at string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	pipe := p.client.Pipeline()
	addr := redis.NewStringSliceCmd(ctx, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", name)
	list := redis.NewSliceCmd(ctx, "SENTINEL", "REPLICAS", name)
	_ = pipe.Process(ctx, addr)
	_ = pipe.Process(ctx, list)
	if err := redisclient.Ask(ctx, pipe); err != nil {
		return nil, err
	}
	place, err := addr.Result()
	if err != nil {
		return nil, err
	}
	if len(place) != 2 || net.JoinHostPort(place[0], place[1]) != at {
		return nil, errElsewhere
	}
	all, err := list.Result()
	if err != nil {
		return nil, err
	}
	var addrs []string
	for _, of := range all {
		if a := sentinelAt(of); a != "" && a != at && !strings.HasSuffix(a, ":0") {
			addrs = append(addrs, a)
		}
	}
	return addrs, nil
}
