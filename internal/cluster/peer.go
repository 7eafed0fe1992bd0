package cluster

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"nuthatch/internal/config"
	"nuthatch/internal/redisclient"
)

// askTime is how long a node may take to answer. The map of a large cluster has a megabyte.
const askTime = 2 * time.Second

// errRefused means that a node has refused all questions.
var errRefused = errors.New("it does not say which nodes there are")

// ask asks one node about its cluster. hosts are where nodes were said to be before.
func (o *Options) ask(ctx context.Context, addr config.Address, hosts map[string]string) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(o.askTime, askTime))
	defer cancel()
	a, err := o.askWith(ctx, addr, o.Login, hosts)
	if redisclient.NoPassword(err) {
		// As on the data path, a server that wants no password is used.
		return o.askWith(ctx, addr, config.Login{}, hosts)
	}
	return a, err
}

func (o *Options) askWith(ctx context.Context, addr config.Address, login config.Login, hosts map[string]string) (*answer, error) {
	client := redisclient.New(redisclient.Options{Addr: addr, Login: login, Secure: o.Secure, Time: cmp.Or(o.askTime, askTime), Connections: 1})
	defer client.Close()
	pipe := client.Pipeline()
	nodes := pipe.Do(ctx, "CLUSTER", "NODES")
	shards := pipe.Do(ctx, "CLUSTER", "SHARDS") // since Redis 7
	info := pipe.Do(ctx, "CLUSTER", "INFO")
	if err := redisclient.Ask(ctx, pipe); err != nil {
		return nil, err
	}
	from := asked{host: addr.Host, secure: o.Secure != nil, hosts: hosts}
	a, err := conclude(ctx, client, nodes, shards, from)
	if err != nil {
		return nil, err
	}
	a.addr = addr.String()
	a.hear(info)
	return a, nil
}

// conclude is the answer of both questions. A node that refuses them is asked with CLUSTER
// SLOTS.
func conclude(ctx context.Context, client *redis.Client, nodes, shards *redis.Cmd, from asked) (*answer, error) {
	a, err := answerOf(nodes, shards, from)
	if err == nil || !errors.Is(err, errRefused) {
		return a, err
	}
	slots, err := client.Do(ctx, "CLUSTER", "SLOTS").Result()
	if err != nil {
		return nil, err
	}
	return parseSlots(slots, from)
}

// answerOf is the answer of CLUSTER NODES, with what CLUSTER SHARDS adds. It is that of
// CLUSTER SHARDS alone if the node refuses the other.
func answerOf(nodes, shards *redis.Cmd, from asked) (*answer, error) {
	text, err := nodes.Text()
	more, refusal := shards.Result()
	switch {
	case err != nil && (isFinal(err) || isFinal(refusal)):
		return nil, err
	case err != nil && refusal != nil:
		return nil, errRefused
	case err != nil:
		return parseShards(more, from)
	}
	a, err := parseNodes(text, from)
	if err != nil {
		return nil, err
	}
	if refusal == nil {
		if s, err := parseShards(more, from); err == nil {
			a.with(s)
		}
	}
	return a, nil
}

// why says in words why a node is of no use.
func (o *Options) why(err error) string {
	switch {
	case strings.Contains(err.Error(), "unknown command 'CLUSTER'"):
		return "it is no node of a cluster, and does not know the command CLUSTER: is it a Sentinel, or a Redis without that command?"
	case isNoCluster(err):
		return "it is no node of a cluster: " + strings.TrimPrefix(err.Error(), "ERR ")
	}
	return redisclient.Why(err, o.Secure != nil)
}

// isNoCluster reports whether that is the answer of a server that runs without Redis Cluster.
func isNoCluster(err error) bool {
	return err != nil && strings.Contains(err.Error(), "cluster support disabled")
}

// isFinal reports whether a node that answers so would refuse all other questions, too.
func isFinal(err error) bool {
	if err == nil {
		return false
	}
	text := err.Error()
	for _, prefix := range []string{"NOAUTH", "WRONGPASS", "LOADING", "MASTERDOWN"} {
		if strings.HasPrefix(text, prefix) {
			return true
		}
	}
	return isNoCluster(err)
}
