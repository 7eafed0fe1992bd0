package cluster

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"nuthatch/internal/config"
)

// A SCAN must know of every slot that moves, and FLUSHALL of every primary. Only the two nodes of a
// move tell of it before it is done, so all primaries are asked:
//
//	the end of a SCAN, FLUSHALL ─► WakeWhole ─► all primaries, some at the same time ─► answers ─► run
//
// That is done beside the usual looks, which wait for no node that hangs.

const (
	// wholePause is the least pause between two looks at all nodes, and wholeAgain that after
	// one for which nodes did not answer. That is tried wholeTries times.
	wholePause, wholeAgain = 20 * time.Millisecond, 500 * time.Millisecond
	wholeTries             = 20
	// wholeSlow is how long such a look may take without a longer pause after it.
	wholeSlow = 200 * time.Millisecond
	// wholeAtOnce is how many nodes are asked at the same time.
	wholeAtOnce = 16
)

const (
	// whyScan is why nodes are asked while a client scans, at least every scanning.
	whyScan  = "scan"
	scanning = time.Second
	// whyWhole is why all nodes are asked.
	whyWhole = "all_nodes"
)

// A Move is a slot that is on its way from a node to another one, by their places among a map's
// nodes; -1: the map does not have the node.
type Move struct {
	Slot     int
	From, To int32
}

// answers of all primaries, which began to be asked at that time.
type wholeAnswers struct {
	answers []*answer
	began   time.Time
}

// WakeWhole has all nodes asked soon. It does not wait.
func (w *Watcher) WakeWhole() {
	select {
	case w.wokenWhole <- struct{}{}:
	default: // it is in there already
	}
}

// runWhole asks all nodes when somebody asks for it.
func (w *Watcher) runWhole(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.wokenWhole:
		}
		for range wholeTries {
			began := time.Now()
			all, pause := w.askWhole(ctx), wholeAgain
			if all != nil {
				select {
				case w.whole <- wholeAnswers{all, began}:
				case <-ctx.Done():
					return
				}
				pause = wholePause
			}
			if took := time.Since(began); took > wholeSlow {
				pause = min(share*took, seldom)
			}
			if !sleep(ctx, pause) {
				return
			}
			if all != nil {
				break
			}
		}
	}
}

// sleep reports false if ctx has ended.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// askWhole asks all primaries that have not failed. It returns nil if two or more do not
// answer: of a move between two nodes one at least must tell.
func (w *Watcher) askWhole(ctx context.Context) (answers []*answer) {
	m := w.Status().Map
	if m == nil {
		return nil
	}
	known, missing := m, 0
	asked := make(map[config.Address]bool)
	for m != nil {
		var addrs []config.Address
		for i := range m.Nodes {
			n := &m.Nodes[i]
			if a := (config.Address{Network: config.NetworkTCP, Host: n.Host, Port: n.Port}); !n.Replica && !n.Failing && !asked[a] {
				asked[a], addrs = true, append(addrs, a)
			}
		}
		if len(addrs) == 0 {
			break
		}
		more := w.askEach(ctx, addrs, m.hosts())
		missing += len(addrs) - len(more)
		answers = append(answers, more...)
		m, _ = merge(known, answers) // which may know of more nodes
	}
	if missing > 1 || len(answers) == 0 {
		return nil
	}
	return answers
}

// askEach asks nodes, and waits for each.
func (w *Watcher) askEach(ctx context.Context, addrs []config.Address, hosts map[string]string) (answers []*answer) {
	var mu sync.Mutex
	var asking sync.WaitGroup
	free := make(chan struct{}, wholeAtOnce)
	for _, addr := range addrs {
		free <- struct{}{}
		asking.Go(func() {
			defer func() { <-free }()
			a, err := w.ask(ctx, addr, hosts)
			if err != nil {
				return // the usual looks tell of it
			}
			mu.Lock()
			if len(answers) >= atOnce {
				a.trim(answers[0].self)
			}
			answers = append(answers, a)
			mu.Unlock()
		})
	}
	asking.Wait()
	return answers
}

// trim leaves of the answer what the node says of itself: the answers of a thousand nodes about
// a thousand would be large. other is a node that another answer has, by which both are known to
// be of one cluster.
func (a *answer) trim(other string) {
	self, shared := a.nodes[a.self], a.nodes[other]
	if self == nil || shared == nil {
		return
	}
	a.self = strings.Clone(a.self)
	var runs []run
	for _, r := range a.runs {
		if r.owner == a.self {
			runs = append(runs, run{r.first, r.last, a.self})
		}
	}
	nodes := make(map[string]*Node, 2)
	for _, n := range []*Node{self, shared} {
		own := *n
		own.ID, own.Host, own.Of, own.Zone = strings.Clone(n.ID), strings.Clone(n.Host), strings.Clone(n.Of), strings.Clone(n.Zone)
		own.Others = nil
		for _, name := range n.Others {
			own.Others = append(own.Others, strings.Clone(name))
		}
		nodes[own.ID] = &own
	}
	for i, m := range a.moves {
		a.moves[i].from, a.moves[i].to = strings.Clone(m.from), strings.Clone(m.to)
	}
	a.nodes, a.runs = nodes, runs
}

// takeWhole publishes what the answers of all nodes say.
func (w *Watcher) takeWhole(ctx context.Context, of wholeAnswers) {
	if errors.Is(ctx.Err(), context.Canceled) {
		return
	}
	before := w.Status()
	m, _ := merge(before.Map, of.answers)
	if m == nil { // they are older than the map, and their moves count
		same := *before.Map
		m = &same
	}
	m.Whole, m.Began = true, of.began
	m.addMoves(of.answers)
	// What is wrong is for the usual looks to tell.
	w.note(m, before.trouble(), of.began, []string{whyWhole})
	w.Publish(m)
}

// addMoves notes which slots are on their way, as the answers say.
func (m *Map) addMoves(answers []*answer) {
	places := make(map[string]int32, len(m.Nodes))
	for i := range m.Nodes {
		places[m.Nodes[i].ID] = int32(i)
	}
	placeOf := func(id string) int32 {
		if at, there := places[id]; there {
			return at
		}
		return -1
	}
	m.Moves = nil
	for _, a := range answers {
		for _, move := range a.moves {
			m.Moves = append(m.Moves, Move{move.slot, placeOf(move.from), placeOf(move.to)})
		}
	}
}

// A moving is a slot that is on its way from one node to another, by their ids.
type moving struct {
	slot     int
	from, to string
}

// movingOf reads what CLUSTER NODES has of a slot that is on its way from or to the node id
// itself: [slot->-id], [slot-<-id].
func movingOf(word, id string) (m moving, ok bool) {
	word = strings.Trim(word, "[]")
	from, to := id, ""
	slot, other, isFrom := strings.Cut(word, "->-")
	if to = other; !isFrom {
		if slot, from, ok = strings.Cut(word, "-<-"); !ok {
			return moving{}, false
		}
		to = id
	}
	at, err := strconv.Atoi(slot)
	return moving{at, from, to}, err == nil && at >= 0 && at < NumSlots
}
