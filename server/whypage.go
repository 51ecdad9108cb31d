package server

import (
	"net/http"
	"strconv"

	"kargo"
)

// serviceValues are the values of one service, and where they come from.
type serviceValues struct {
	Name   string
	Values []kargo.Explanation
}

// whyView is what the page shows that says where the values of a stack come from.
type whyView struct {
	frame
	Name     string
	Revision kargo.Revision
	Services []serviceValues
}

// whyPage shows where each value of a stack's services comes from.
func (s *Server) whyPage(w http.ResponseWriter, r *http.Request) {
	status, name := s.Controller.Status(), r.PathValue("name")
	explained, err := s.Inspector.Why(r.Context(), name+".services", true) // a variable or a service may have the name, too
	if err != nil {
		s.fail(w, err)
		return
	}
	view := whyView{frame: s.frame(r, status), Name: name, Revision: explained.Revision}
	view.Title, view.Tab = "Where the values of "+name+" come from – Kargo "+status.Instance, "stacks"
	for _, value := range explained.Values {
		if value.Stack != name || value.Field == "" {
			continue
		}
		if last := len(view.Services) - 1; last < 0 || view.Services[last].Name != value.Service {
			view.Services = append(view.Services, serviceValues{Name: value.Service})
		}
		service := &view.Services[len(view.Services)-1]
		service.Values = append(service.Values, value)
	}
	if len(view.Services) == 0 {
		reject(w, http.StatusNotFound, "there is no stack "+strconv.Quote(name), "")
		return
	}
	s.render(w, r, http.StatusOK, "why.html", view)
}
