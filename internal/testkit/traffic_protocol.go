package testkit

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// askRedis is a request of a Redis client.
func (k *checker) askRedis() question {
	switch k.rng.IntN(10) {
	case 0, 1, 2:
		return k.setRedis()
	case 3, 4, 5:
		l := k.lookup()
		return question{RESP("GET", l.key), func(reply string) error {
			if reply == "" {
				return nil
			}
			value, found, rest, err := cutBulk(reply)
			if err != nil || rest != "" {
				return errNotOurs
			}
			return l.read(value, found)
		}}
	case 6, 7:
		all, keys := k.lookups()
		return question{RESP(append([]string{"MGET"}, keys...)...), func(reply string) error { return readArray(reply, all) }}
	case 8:
		i, key := k.ownKey()
		return question{RESP("DEL", key), func(reply string) error {
			k.own[i].wrote(0, reply != "")
			return oneOf(reply, "", ":0\r\n", ":1\r\n")
		}}
	default:
		if k.rng.IntN(2) == 0 {
			token := fmt.Sprintf("%d.%d", k.id, k.rng.Int64())
			return question{RESP("PING", token), func(reply string) error { return oneOf(reply, Bulk(token)) }} // from the proxy
		}
		i, _ := k.ownKey()
		k.own[i].asked++
		return question{RESP("INCR", fmt.Sprintf("count:%d:%d", k.id, i)), func(reply string) error {
			if reply == "" {
				return nil
			}
			n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimPrefix(reply, ":"), "\r\n"), 10, 64)
			if err != nil {
				return errNotOurs
			}
			return k.counted(i, n)
		}}
	}
}

// wait asks whether a replica has what the client has written since it asked last.
func (k *checker) wait() question {
	return question{RESP("WAIT", "1", "300"), func(reply string) error {
		confirmed := reply == ":1\r\n"
		if confirmed {
			k.crowd.Confirmed.Add(1)
		}
		for i := range k.own {
			c := &k.own[i]
			if confirmed && c.fresh {
				c.since = append(c.since[:0], c.since[len(c.since)-1])
			}
			if confirmed && c.counted {
				c.confirmed = c.count
			}
			c.fresh, c.counted = false, false
		}
		return oneOf(reply, "", ":0\r\n", ":1\r\n")
	}}
}

func (k *checker) setRedis() question {
	n := k.sent.Add(1)
	if k.rng.IntN(4) == 0 {
		key := k.sharedKey()
		return question{RESP("SET", key, k.value(key, n)), func(reply string) error { return oneOf(reply, "", "+OK\r\n") }}
	}
	i, key := k.ownKey()
	return question{RESP("SET", key, k.value(key, n)), func(reply string) error {
		k.own[i].wrote(n, reply != "")
		return oneOf(reply, "", "+OK\r\n")
	}}
}

func oneOf(reply string, right ...string) error {
	if slices.Contains(right, reply) {
		return nil
	}
	return errNotOurs
}

// cutBulk takes the bulk string off a reply's beginning.
func cutBulk(reply string) (value string, found bool, rest string, err error) {
	head, rest, ok := strings.Cut(reply, "\r\n")
	if !ok || head == "" || head[0] != '$' {
		return "", false, "", errNotOurs
	}
	n, err := strconv.Atoi(head[1:])
	if err != nil || n >= 0 && len(rest) < n+2 {
		return "", false, "", errNotOurs
	}
	if n < 0 {
		return "", false, rest, nil
	}
	return rest[:n], true, rest[n+2:], nil
}

func readArray(reply string, all []lookup) error {
	if reply == "" {
		return nil
	}
	rest, ok := strings.CutPrefix(reply, fmt.Sprintf("*%d\r\n", len(all)))
	if !ok {
		return errNotOurs
	}
	for _, l := range all {
		value, found, after, err := cutBulk(rest)
		if err != nil {
			return err
		}
		if err := l.read(value, found); err != nil {
			return fmt.Errorf("%s: %w", l.key, err)
		}
		rest = after
	}
	return oneOf(rest, "")
}

// askMemcache is a request of a Memcached client, or two that belong together.
func (k *checker) askMemcache() []question {
	switch k.rng.IntN(10) {
	case 0, 1, 2:
		return []question{k.setMemcache()}
	case 3, 4, 5:
		l := k.lookup()
		return []question{k.get(l.key, []lookup{l})}
	case 6, 7:
		all, keys := k.lookups()
		return []question{k.get(strings.Join(keys, " "), all)}
	case 8:
		i, key := k.ownKey()
		return []question{{[]byte("delete " + key + "\r\n"), func(reply string) error {
			k.own[i].wrote(0, reply != "")
			return oneOf(reply, "", "DELETED\r\n", "NOT_FOUND\r\n")
		}}}
	default:
		return k.count()
	}
}

func (k *checker) setMemcache() question {
	n := k.sent.Add(1)
	if k.rng.IntN(4) == 0 {
		key := k.sharedKey()
		return question{storeMemcache(key, k.value(key, n)), func(reply string) error { return oneOf(reply, "", "STORED\r\n") }}
	}
	i, key := k.ownKey()
	return question{storeMemcache(key, k.value(key, n)), func(reply string) error {
		k.own[i].wrote(n, reply != "")
		return oneOf(reply, "", "STORED\r\n")
	}}
}

func storeMemcache(key, value string) []byte {
	return fmt.Appendf(nil, "set %s 0 0 %d\r\n%s\r\n", key, len(value), value)
}

// count increments a counter, which is made if there is none.
func (k *checker) count() []question {
	i, _ := k.ownKey()
	key := fmt.Sprintf("count:%d:%d", k.id, i)
	k.own[i].asked++
	return []question{
		{fmt.Appendf(nil, "add %s 0 0 1\r\n0\r\n", key), func(reply string) error {
			return oneOf(reply, "", "STORED\r\n", "NOT_STORED\r\n")
		}},
		{fmt.Appendf(nil, "incr %s 1\r\n", key), func(reply string) error {
			if reply == "" || reply == "NOT_FOUND\r\n" {
				return nil
			}
			n, err := strconv.ParseInt(strings.TrimSpace(reply), 10, 64)
			if err != nil {
				return errNotOurs
			}
			return k.counted(i, n)
		}},
	}
}

// get requests the keys. Values come in the order of the keys; where a server
// misses one, its later values move up.
func (k *checker) get(keys string, all []lookup) question {
	return question{[]byte("get " + keys + "\r\n"), func(reply string) error {
		if reply == "" {
			return nil
		}
		values, err := readValues([]byte(reply))
		if err != nil {
			return err
		}
		for _, l := range all {
			value, found := values[l.key]
			if err := l.read(value, found); err != nil {
				return fmt.Errorf("%s: %w", l.key, err)
			}
			delete(values, l.key)
		}
		if len(values) > 0 {
			return errNotOurs
		}
		return nil
	}}
}

// readValues takes a reply of values apart.
func readValues(reply []byte) (map[string]string, error) {
	values := map[string]string{}
	for string(reply) != "END\r\n" {
		head, body, _ := bytes.Cut(reply, []byte("\r\n"))
		words := strings.Fields(string(head))
		if len(words) != 4 || words[0] != "VALUE" {
			return nil, errNotOurs
		}
		n, err := strconv.Atoi(words[3])
		if _, twice := values[words[1]]; err != nil || len(body) < n+2 || twice {
			return nil, errNotOurs
		}
		values[words[1]] = string(body[:n])
		reply = body[n+2:]
	}
	return values, nil
}
