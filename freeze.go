package kargo

import "time"

// FreezeWindow is a time that comes again, in which nothing may change.
type FreezeWindow struct {
	// Cron says when it begins ("0 18 * * FRI"), in a time zone ("Europe/Berlin"; "" is
	// UTC), and Duration for how long it lasts ("60h").
	Cron     string `json:"cron"`
	Zone     string `json:"zone,omitempty"`
	Duration string `json:"duration"`
	Reason   string `json:"reason,omitempty"`
	// Where is its line in kargo.yml; zero if it is one of the operator's.
	Where Place `json:"where,omitzero"`
}

// Sources of freeze windows.
const (
	FreezeOfOperator  = "operator"
	FreezeOfWorkspace = "workspace"
)

// Source returns who set the window: the operator, or the workspace.
func (w FreezeWindow) Source() string {
	if w.Where.IsZero() {
		return FreezeOfOperator
	}
	return FreezeOfWorkspace
}

// String says when the window is: "0 18 * * FRI for 60h, Europe/Berlin".
func (w FreezeWindow) String() string {
	text := w.Cron + " for " + w.Duration
	if w.Zone != "" {
		text += ", " + w.Zone
	}
	return text
}

// Freeze is a freeze window that has begun. It lasts until its end even if the settings
// that it comes from change meanwhile.
type Freeze struct {
	Window FreezeWindow `json:"window"`
	Since  time.Time    `json:"since"`
	Until  time.Time    `json:"until"`
}

// String says until when nothing changes, who says so, and why: "frozen until
// 2026-11-30T05:00:00Z by kargo.yml:3: no changes over the weekend".
func (f Freeze) String() string {
	by, why := "the operator", f.Window.Reason
	if f.Window.Source() == FreezeOfWorkspace {
		by = f.Window.Where.String()
	}
	if why == "" {
		why = f.Window.String()
	}
	return "frozen until " + f.Until.UTC().Format(time.RFC3339) + " by " + by + ": " + why
}

// FreezeStatus is a freeze window as the status has it.
type FreezeStatus struct {
	FreezeWindow
	// Of is FreezeOfOperator or FreezeOfWorkspace.
	Of string `json:"source"`
	// Next is when it next begins.
	Next time.Time `json:"next"`
}
