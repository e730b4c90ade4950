package simulator

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
)

// control registers the paths below /_sim/. They are never delayed, limited or hit by faults.
func (s *Server) control() {
	s.mux.HandleFunc("GET /_sim/{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, Help())
	})
	s.mux.HandleFunc("GET /_sim/receipts", s.showReceipts)
	s.mux.HandleFunc("GET /_sim/messages", s.showMessages)
	s.mux.HandleFunc("GET /_sim/rate", func(w http.ResponseWriter, _ *http.Request) { show(w, s.Rate()) })
	s.mux.HandleFunc("GET /_sim/requests", func(w http.ResponseWriter, _ *http.Request) { show(w, s.Requests()) })
	s.mux.HandleFunc("GET /_sim/balance", func(w http.ResponseWriter, _ *http.Request) { show(w, s.Account()) })
	s.mux.HandleFunc("POST /_sim/balance", s.changeBalance)
	s.mux.HandleFunc("GET /_sim/faults", func(w http.ResponseWriter, _ *http.Request) { show(w, s.Faults()) })
	s.mux.HandleFunc("POST /_sim/faults", s.changeFaults)
	s.mux.HandleFunc("POST /_sim/reset", func(w http.ResponseWriter, _ *http.Request) {
		s.Reset()
		w.WriteHeader(http.StatusNoContent)
	})
}

func (s *Server) showReceipts(w http.ResponseWriter, r *http.Request) {
	if text := r.URL.Query().Get("wait"); text != "" {
		total, err := strconv.Atoi(text)
		if err != nil || total < 0 {
			http.Error(w, "wait must be a number of messages", http.StatusBadRequest)
			return
		}
		if !s.waitFor(r, total) {
			http.Error(w, "the simulator is stopping", http.StatusServiceUnavailable)
			return
		}
	}
	show(w, s.Receipts())
}

// waitFor waits until so many messages have arrived, and gives up when the client goes or the simulator closes.
func (s *Server) waitFor(r *http.Request, total int) bool {
	arrived, forget := s.receipts.await(total)
	defer forget()
	select {
	case <-arrived:
		return true
	case <-r.Context().Done():
	case <-s.done:
	}
	select {
	case <-arrived: // What has happened counts, even where the simulator is closing too.
		return true
	default:
		return false
	}
}

func (s *Server) showMessages(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := bufio.NewWriterSize(w, 64<<10)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	s.receipts.each(func(m Message) bool {
		return enc.Encode(m) == nil && r.Context().Err() == nil
	})
	_ = out.Flush()
}

func (s *Server) changeBalance(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Balance *int64 `json:"balance"`
	}
	err := readJSON(w, r, &body)
	if err == nil && (body.Balance == nil || *body.Balance < 0) {
		err = errors.New(`want {"balance":n} with n of at least 0`)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.SetBalance(*body.Balance)
	show(w, s.Account())
}

func (s *Server) changeFaults(w http.ResponseWriter, r *http.Request) {
	var f Faults
	err := readJSON(w, r, &f)
	if err == nil {
		err = s.SetFaults(f)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	show(w, s.Faults())
}

// readJSON refuses unknown names: a misspelt fault would otherwise be a test that tests nothing.
func readJSON(w http.ResponseWriter, r *http.Request, into any) error {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("one JSON object only")
	}
	return nil
}

func show(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // The types are ours and always encode; a client that is gone needs nothing.
}
