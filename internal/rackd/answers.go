package rackd

import (
	"context"
	"net/http"

	"github.com/gorilla/mux"
)

// answerList answers with the newest records of an app, as many as the request
// wants.
func answerList[T any](s *Server, w http.ResponseWriter, r *http.Request, list func(ctx context.Context, app string, limit int) ([]T, error)) error {
	n, err := limit(r)
	if err != nil {
		return err
	}
	app := mux.Vars(r)["app"]
	if _, err := s.app(r.Context(), app); err != nil {
		return err
	}
	records, err := list(r.Context(), app, n)
	if err != nil {
		return err
	}
	return render(w, append([]T{}, records...)) // an empty list, not null
}

// answerOne answers with one record of an app.
func answerOne[T any](w http.ResponseWriter, r *http.Request, find func(ctx context.Context, app, id string) (T, error)) error {
	record, err := find(r.Context(), mux.Vars(r)["app"], mux.Vars(r)["id"])
	if err != nil {
		return err
	}
	return render(w, record)
}
