package simulator

import "testing"

func TestChargeTakesTheCostOrNothing(t *testing.T) {
	tests := []struct {
		name          string
		balance, cost int64
		charged       bool
	}{
		{"enough", 5, 3, true},
		{"just enough", 3, 3, true},
		{"too little", 2, 3, false},
		{"empty", 0, 3, false},
		{"free", 1, 0, true},
		{"free but empty", 0, 0, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var a account
			a.reset(test.balance)
			want := Account{Balance: test.balance}
			if test.charged {
				want = Account{Balance: test.balance - test.cost, Charged: test.cost}
			}
			if covers, charged := a.covers(test.cost), a.charge(test.cost); covers != test.charged || charged != covers {
				t.Errorf("covers %v, charged %v", covers, charged)
			}
			if got := a.snapshot(); got != want {
				t.Errorf("account %+v, want %+v", got, want)
			}
		})
	}
}
