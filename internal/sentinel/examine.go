package sentinel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"nuthatch/internal/config"
	"nuthatch/internal/redisclient"
	"nuthatch/internal/units"
)

// An Examined is what sentinels, and the primaries that they name, look like to somebody
// who asks all of them.
type Examined struct {
	Sentinels []SeenSentinel      `json:"sentinels"`
	Primaries []SeenPrimary       `json:"primaries"`
	Faults    []redisclient.Fault `json:"faults"`
}

// A SeenSentinel is one sentinel.
type SeenSentinel struct {
	Address string `json:"address"`
	Answers bool   `json:"answers"`
	Version string `json:"version,omitempty"`
}

// A SeenPrimary is the primary of one name.
type SeenPrimary struct {
	Name string `json:"name"`
	// Address is where it is, by the newest epoch; empty: nobody says.
	Address string `json:"address,omitempty"`
	Epoch   int64  `json:"epoch"`
	// Quorum is how many sentinels must agree that it is down. Sentinels is how many know
	// it, and Replicas how many it has, as they say.
	Quorum    int `json:"quorum"`
	Sentinels int `json:"sentinels"`
	Replicas  int `json:"replicas"`
	// Role is what it says itself; empty: it was not asked.
	Role string `json:"role,omitempty"`
}

// A visit is what one sentinel has said, or why it has not.
type visit struct {
	addr    config.Address
	err     error
	version string
	// deaf is why it does not tell of changes by itself; nil: it does.
	deaf error
	said []opinion // by names
}

// An opinion is what a sentinel says of one primary.
type opinion struct {
	Place
	err              error // why it does not say where it is
	flags            []string
	quorum, replicas int      // quorum is 0 if it does not say
	sentinels        int      // with itself
	others           []string // where they are
}

// Examine asks all sentinels for these names, and the primaries that they name, and says
// what is wrong. role asks a server what it is.
func (o *Options) Examine(ctx context.Context, names []string, role func(ctx context.Context, addr string) (string, error)) *Examined {
	all := make([]*visit, len(o.Sentinels))
	var group sync.WaitGroup
	for i, addr := range o.Sentinels {
		all[i] = &visit{addr: addr}
		group.Go(func() { o.visit(ctx, all[i], names) })
	}
	group.Wait()
	j := &judgement{secure: o.Secure != nil, all: all}
	j.reached()
	for i, name := range names {
		j.primary(ctx, i, name, role)
	}
	j.unnamed(names)
	e := &Examined{Primaries: j.primaries, Faults: j.faults}
	for _, v := range all {
		e.Sentinels = append(e.Sentinels, SeenSentinel{v.addr.String(), v.err == nil, v.version})
	}
	return e
}

// visit asks one sentinel.
func (o *Options) visit(ctx context.Context, v *visit, names []string) {
	ctx, cancel := context.WithTimeout(ctx, 4*askTime)
	defer cancel()
	client := redisclient.New(redisclient.Options{Addr: v.addr, Login: o.Login, Secure: o.Secure, Time: 2 * askTime, Connections: 2})
	defer client.Close()
	pipe := client.Pipeline()
	info := pipe.Do(ctx, "INFO", "server")
	masters, addrs := make([]*redis.MapStringStringCmd, len(names)), make([]*redis.StringSliceCmd, len(names))
	others := make([]*redis.Cmd, len(names))
	for i, name := range names {
		masters[i] = redis.NewMapStringStringCmd(ctx, "SENTINEL", "MASTER", name)
		addrs[i] = redis.NewStringSliceCmd(ctx, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", name)
		_, _ = pipe.Process(ctx, masters[i]), pipe.Process(ctx, addrs[i])
		others[i] = pipe.Do(ctx, "SENTINEL", "SENTINELS", name)
	}
	if v.err = redisclient.Ask(ctx, pipe); v.err != nil {
		return
	}
	v.version = redisclient.Version(info)
	for i := range names {
		v.said = append(v.said, opinionOf(masters[i], addrs[i], others[i]))
		if err := v.said[i].err; err != nil && refusesAll(err) {
			v.err = err
			return
		}
	}
	v.deaf = deaf(ctx, client)
}

// refusesAll reports whether a sentinel that says so refuses the questions for all names.
func refusesAll(err error) bool {
	text := err.Error()
	return strings.HasPrefix(text, "NOAUTH") || strings.HasPrefix(text, "NOPERM") || strings.Contains(text, "unknown command")
}

// deaf says why a sentinel does not tell of changes by itself; nil: it does.
func deaf(ctx context.Context, client *redis.Client) error {
	subscription := client.Subscribe(ctx, channels[0])
	defer subscription.Close()
	_, err := subscription.ReceiveTimeout(ctx, 2*askTime)
	return err
}

func opinionOf(master *redis.MapStringStringCmd, addr *redis.StringSliceCmd, others *redis.Cmd) (p opinion) {
	about, err := master.Result()
	if err == nil {
		p.Place, err = placeOf(about, addr)
	}
	if err != nil {
		p.err = err
		if strings.Contains(err.Error(), "No such master") || errors.Is(err, redis.Nil) {
			p.err = errUnknown
		}
		return p
	}
	p.flags = strings.Split(about["flags"], ",")
	p.quorum, p.replicas = number(about["quorum"]), number(about["num-slaves"])
	p.sentinels = 1 + number(about["num-other-sentinels"])
	list, err := others.Slice()
	if err != nil {
		return p // it may not say
	}
	for _, one := range list {
		if at := sentinelAt(one); at != "" {
			p.others = append(p.others, at)
		}
	}
	return p
}

// number is the number that a sentinel says, or 0.
func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return n
}

// sentinelAt is the address of a sentinel in a reply to SENTINEL SENTINELS.
func sentinelAt(of any) string {
	flat, _ := of.([]any)
	var host, port string
	for i := 0; i+1 < len(flat); i += 2 {
		value, _ := flat[i+1].(string)
		switch flat[i] {
		case "ip":
			host = value
		case "port":
			port = value
		}
	}
	if host == "" {
		return ""
	}
	return net.JoinHostPort(host, port)
}

// A judgement collects what is wrong with sentinels.
type judgement struct {
	secure    bool
	all       []*visit
	primaries []SeenPrimary
	faults    []redisclient.Fault
}

func (j *judgement) fault(where, what string, args ...any) {
	j.faults = append(j.faults, redisclient.Fault{Where: where, What: fmt.Sprintf(what, args...)})
}

func (j *judgement) minor(where, what string, args ...any) {
	j.faults = append(j.faults, redisclient.Fault{Where: where, What: fmt.Sprintf(what, args...), Minor: true})
}

// reached tells of sentinels that do not answer, or do not tell of changes.
func (j *judgement) reached() {
	down := 0
	for _, v := range j.all {
		at := v.addr.String()
		switch {
		case v.err != nil && strings.Contains(v.err.Error(), "unknown command"):
			down++
			j.fault(at, "it is no sentinel: %s", strings.TrimPrefix(v.err.Error(), "ERR "))
		case v.err != nil:
			down++
			j.fault(at, "%s", redisclient.Why(v.err, j.secure))
		case v.deaf != nil:
			j.minor(at, "it does not tell of changes, and is only asked (the right to subscribe is missing): %s", redisclient.Why(v.deaf, j.secure))
		}
	}
	if down > 0 && 2*down >= len(j.all) {
		j.fault("sentinels", "%d of %d are of no use: if they are down, nobody is made a primary", down, len(j.all))
	}
}

// A roleOf says what a server is, or why it does not.
type roleOf func(addr string) (string, error)

// asked is a roleOf that asks each server once.
func asked(ctx context.Context, role func(context.Context, string) (string, error)) roleOf {
	type said struct {
		what string
		err  error
	}
	all := make(map[string]said)
	return func(addr string) (string, error) {
		s, was := all[addr]
		if !was {
			s.what, s.err = role(ctx, addr)
			all[addr] = s
		}
		return s.what, s.err
	}
}

// mayBePrimary reports whether a server says that it is a primary, or does not say what it is.
func (r roleOf) mayBePrimary(addr string) bool {
	what, err := r(addr)
	return err == nil && (what == "primary" || what == "unknown")
}

// primary judges what sentinels say of the i-th name, and what the server itself says.
func (j *judgement) primary(ctx context.Context, i int, name string, ask func(context.Context, string) (string, error)) {
	var answers []answer
	best := opinion{}
	for by, v := range j.all {
		if v.err != nil {
			continue
		}
		p := v.said[i]
		if p.err != nil {
			j.fault(v.addr.String(), "%s: %v", name, p.err)
			continue
		}
		answers = append(answers, answer{Place: p.Place, by: by})
	}
	all := candidates(Place{}, answers, len(j.all))
	p := SeenPrimary{Name: name}
	if len(all) == 0 {
		j.fault(name, "no sentinel says where it is")
		j.primaries = append(j.primaries, p)
		return
	}
	role := asked(ctx, ask)
	at := believed(all, len(answers), role)
	for _, v := range j.all {
		if v.err == nil && v.said[i].err == nil && v.said[i].Place == at {
			best = v.said[i]
			break
		}
	}
	p.Address, p.Epoch, p.Quorum, p.Sentinels, p.Replicas = at.Addr, at.Epoch, best.quorum, best.sentinels, best.replicas
	j.agree(i, name, at, role)
	j.quorum(i, name, best)
	if what, err := role(at.Addr); err != nil {
		j.fault(at.Addr, "%s, as sentinels say: %s", name, redisclient.Why(err, j.secure))
	} else {
		p.Role = what
		switch what {
		case "primary":
		case "unknown":
			j.minor(at.Addr, "%s, as sentinels say: it does not say what it is (ROLE)", name)
		default:
			j.fault(at.Addr, "%s, as sentinels say, is no primary but a %s", name, what)
		}
	}
	j.primaries = append(j.primaries, p)
}

// believed is the place that is likeliest to be right: the one that most of the answers name, if
// a primary may be there. If not, or if there is none, it is the newest one where a primary may be.
// So a single sentinel that makes up an epoch is not believed against the others, and one that
// alone knows of a failover is, once the old primary is down or a replica.
func believed(all []candidate, answers int, role roleOf) Place {
	at := slices.IndexFunc(all, func(c candidate) bool { return 2*c.votes > answers && role.mayBePrimary(c.Addr) })
	if at < 0 {
		at = slices.IndexFunc(all, func(c candidate) bool { return role.mayBePrimary(c.Addr) })
	}
	return all[max(at, 0)].Place
}

// agree tells of sentinels that say otherwise than that the i-th name is at.
func (j *judgement) agree(i int, name string, at Place, role roleOf) {
	for _, v := range j.all {
		if v.err != nil || v.said[i].err != nil {
			continue
		}
		p := v.said[i]
		switch {
		case p.Epoch < at.Epoch:
			j.fault(v.addr.String(), "%s: it says %s of the config epoch %d, and others say %s of %d: it is out of date", name, p.Addr, p.Epoch, at.Addr, at.Epoch)
		case p.Epoch > at.Epoch && !role.mayBePrimary(p.Addr):
			j.fault(v.addr.String(), "%s: it says %s of the config epoch %d, where no primary is, and others say %s of %d, where one is: it is wrong", name, p.Addr, p.Epoch, at.Addr, at.Epoch)
		case p.Epoch > at.Epoch:
			j.fault(v.addr.String(), "%s: it says %s of the config epoch %d, and most say %s of %d: it is wrong, or has heard of a failover before the others", name, p.Addr, p.Epoch, at.Addr, at.Epoch)
		case p.Addr != at.Addr:
			j.fault(v.addr.String(), "%s: it says %s, and others say %s, both of the config epoch %d", name, p.Addr, at.Addr, at.Epoch)
		}
		for _, flag := range []string{"s_down", "o_down", "disconnected", "failover_in_progress"} {
			if slices.Contains(p.flags, flag) {
				j.fault(v.addr.String(), "%s: it says that %s is %s", name, p.Addr, flag)
			}
		}
	}
}

// quorum tells of too few sentinels, or replicas, to fail over.
func (j *judgement) quorum(i int, name string, p opinion) {
	switch {
	case p.quorum == 0: // it does not say
	case p.quorum > p.sentinels:
		j.fault(name, "its quorum is %d, and only %s it: it will never fail over", p.quorum, units.Count(p.sentinels, "sentinel")+units.Plural(p.sentinels, " knows", " know"))
	case p.sentinels < 3:
		j.minor(name, "only %d of the sentinels %s it: with fewer than three, it does not fail over once one is down", p.sentinels, units.Plural(p.sentinels, "knows", "know"))
	}
	if p.replicas == 0 {
		j.minor(name, "it has no replica: nobody can take its place")
	}
	for _, v := range j.all {
		if v.err != nil || v.said[i].err != nil {
			continue
		}
		if q := v.said[i].quorum; q != p.quorum {
			j.fault(v.addr.String(), "%s: its quorum is %d here, and %d elsewhere", name, q, p.quorum)
		}
	}
}

// unnamed tells of sentinels that others know, and the configuration does not name. Those
// that are named by host name cannot be told from them.
func (j *judgement) unnamed(names []string) {
	named := make(map[string]bool)
	for _, v := range j.all {
		if net.ParseIP(v.addr.Host) == nil {
			return
		}
		named[v.addr.String()] = true
	}
	for _, v := range j.all {
		if v.err != nil {
			continue
		}
		for i := range v.said {
			for _, at := range v.said[i].others {
				if !named[at] {
					named[at] = true
					j.minor(v.addr.String(), "%s: it knows the sentinel %s, which is not in sentinels and is not asked", names[i], at)
				}
			}
		}
	}
}
