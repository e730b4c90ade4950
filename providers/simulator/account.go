package simulator

import "sync"

// Account is a prepaid balance and what has happened to it since the start or the last reset, in the units of
// [Options].Balance. Once nothing is under way, Charged - Refunded is the price of the messages that arrived.
type Account struct {
	Balance  int64 `json:"balance"`
	Charged  int64 `json:"charged"`
	Refunded int64 `json:"refunded"`
}

// account guards an Account: no two messages can be paid with the same last unit.
type account struct {
	mu    sync.Mutex
	state Account
}

// charge takes the cost unless the balance is empty or too small.
func (a *account) charge(cost int64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.state.Balance <= 0 || a.state.Balance < cost {
		return false
	}
	a.state.Balance -= cost
	a.state.Charged += cost
	return true
}

func (a *account) refund(cost int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.state.Balance += cost
	a.state.Refunded += cost
}

// covers says whether a charge would succeed now.
func (a *account) covers(cost int64) bool {
	balance := a.snapshot().Balance
	return balance > 0 && balance >= cost
}

func (a *account) snapshot() Account {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.state
}

func (a *account) set(balance int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.state.Balance = max(balance, 0)
}

func (a *account) reset(balance int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.state = Account{Balance: balance}
}
