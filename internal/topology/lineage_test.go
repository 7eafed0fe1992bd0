package topology

import (
	"fmt"
	"sync"
	"testing"
)

// The rates of users are forgotten with the last loop that has limits for them, whatever names
// reloads bring.
func TestUserRatesAreForgotten(t *testing.T) {
	var l Lineage
	if l.SeeUserRates("alice") != nil {
		t.Error("rates of a user that nobody has named")
	}
	one, other := l.UserRates("alice"), l.UserRates("alice")
	one.Clients.Add(1)
	if one != other || l.SeeUserRates("alice") != one {
		t.Error("two loops have rates of their own")
	}
	l.ReleaseUserRates("alice", one)
	if l.SeeUserRates("alice") != one {
		t.Error("they are forgotten while a loop has them")
	}
	l.ReleaseUserRates("alice", one)
	if l.SeeUserRates("alice") != nil {
		t.Error("they are kept, and no loop has them")
	}
	if l.UserRates("alice") == one {
		t.Error("what was released comes back")
	}
	var loops sync.WaitGroup
	for range 4 {
		loops.Go(func() {
			for i := range 1000 {
				name := fmt.Sprint(i % 7)
				l.ReleaseUserRates(name, l.UserRates(name))
			}
		})
	}
	loops.Wait()
	if n := len(*l.userRates.Load()); n != 1 {
		t.Errorf("%d names are kept, want that of alice", n)
	}
}
