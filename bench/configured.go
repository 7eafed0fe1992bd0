package main

import (
	"fmt"
	"math"
	"slices"
)

// ownBuild is nuthatch with more settings of the process, to be measured in turn with the usual one.
func ownBuild(name string, can func(work) bool, more func(servers) string) proxyKind {
	return proxyKind{
		name: name, build: buildNuthatch, args: nutcrackerArgs, can: can, version: []string{"-V"},
		config: func(s servers, t topology, listen []string) string { return nuthatchYAML(1)(s, t, listen) + more(s) },
	}
}

// withUsers is a pool with users. Its clients are the user default, who may use the keys and
// commands of the works and no others, so that each key and command is looked at.
const withUsers = "users"

// usersTarget is the largest ratio of nuthatch with users to nuthatch without, in CPU time per
// request.
const usersTarget = 1.02

func usersKinds() []proxyKind {
	return []proxyKind{ownBuild(withUsers, func(w work) bool { return w.topology.redis }, func(servers) string {
		return "  pool_defaults:\n    users:\n      default: {rules: \"on nopass ~key:* ~1kb:* ~10kb:* +@read +@write +@connection +@transaction\"}\n"
	})}
}

// medianWithin is where the median of what was sampled lies with a likelihood of 95%, whatever its
// distribution: between two of the values, or all of them if they are fewer than six.
func medianWithin(values []float64) (low, high float64) {
	if len(values) == 0 {
		return 0, 0
	}
	sorted := slices.Sorted(slices.Values(values))
	// Of so many tosses of a coin, `few` is the likelihood of at most `outside` heads: that the
	// median is not above as many of the values.
	n := float64(len(sorted))
	outside, exactly := 0, math.Pow(0.5, n)
	for few := exactly; ; outside++ {
		exactly *= (n - float64(outside)) / float64(outside+1)
		if few += exactly; few > 0.025 {
			break
		}
	}
	return sorted[outside], sorted[len(sorted)-1-outside]
}

// observedTable compares nuthatch with its bare form, and its traced form with nuthatch.
func (f findings) observedTable() table {
	return f.configuredTable(observedTarget, [2]string{ours, bare}, [2]string{traced, ours})
}

// usersTable compares nuthatch with users to nuthatch without.
func (f findings) usersTable() table {
	return f.configuredTable(usersTarget, [2]string{withUsers, ours})
}

// configuredTable compares the first of each pair, a configuration of one build, with the second.
func (f findings) configuredTable(most float64, pairs ...[2]string) table {
	t := table{left: 2, head: []string{"work", "compared", "CPU", "user", "system", "CPU, 95%", "most"}}
	for i := range f.works {
		base := &f.works[i]
		for _, pair := range pairs {
			if base.proxy != pair[1] || len(base.samples) == 0 {
				continue
			}
			with := f.find(base.work.name, pair[0])
			if len(with.samples) == 0 {
				continue
			}
			row := []string{base.work.title, pair[0] + " to " + pair[1]}
			for _, m := range metrics[:3] {
				row = append(row, fmt.Sprintf("%.3f", median(ratios(each(with.samples, m.of), each(base.samples, m.of)))))
			}
			low, high := medianWithin(ratios(each(with.samples, cpu), each(base.samples, cpu)))
			t.add(append(row, fmt.Sprintf("%.3f–%.3f", low, high), fmt.Sprintf("%.2f", most))...)
		}
	}
	return t
}
