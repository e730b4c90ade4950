package simulator_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"

	"pregon/providers/simulator"
)

func Example() {
	sim := simulator.New(simulator.Options{Balance: 10})
	server := httptest.NewServer(sim)
	defer server.Close()
	defer sim.Close()
	defer http.DefaultClient.CloseIdleConnections()

	for _, mobile := range []string{"573005550100", "573005551002"} {
		res, err := http.PostForm(server.URL+simulator.SendPath, url.Values{
			"login": {simulator.DefaultLogin}, "token": {simulator.DefaultToken}, "mobile": {mobile},
			"id_template": {"991"}, "template_variables": {"[Carlos] [20 %]"},
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		fmt.Printf("%d %.11s\n", res.StatusCode, body)
	}
	fmt.Println(sim.Receipts().Phones, sim.Account().Balance)
	// Output:
	// 200 {"code":1,"
	// 200 {"code":100
	// map[573005550100:1] 9
}
