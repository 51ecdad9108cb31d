package main

import "kargo"

// The Static Analysis Results Interchange Format, version 2.1.0, as far as check
// uses it. Forges show such a file beside the lines of a change.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool    sarifTool     `json:"tool"`
		Results []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name  string      `json:"name"`
		Rules []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID string `json:"id"`
	}
	sarifResult struct {
		RuleID    string          `json:"ruleId"`
		Level     string          `json:"level"`
		Message   sarifMessage    `json:"message"`
		Locations []sarifLocation `json:"locations"`
	}
	sarifMessage struct {
		Text string `json:"text"`
	}
	sarifLocation struct {
		Physical sarifPhysical `json:"physicalLocation"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine int `json:"startLine"`
	}
)

// sarifOf returns problems in SARIF. What is about no rule of the policy is about
// the workspace as such.
func sarifOf(problems kargo.Problems) sarifLog {
	run := sarifRun{Tool: sarifTool{Driver: sarifDriver{Name: "kargo", Rules: []sarifRule{}}}, Results: []sarifResult{}}
	known := map[string]bool{}
	for _, problem := range problems {
		result := sarifResult{RuleID: "workspace", Level: "error", Message: sarifMessage{problem.Message}, Locations: []sarifLocation{}}
		if problem.Rule != "" {
			result.RuleID = problem.Rule
		}
		if problem.Warning {
			result.Level = "warning"
		}
		if problem.Hint != "" {
			result.Message.Text += " (" + problem.Hint + ")"
		}
		if file := problem.Where.File; file != "" {
			physical := sarifPhysical{Artifact: sarifArtifact{file}}
			if problem.Where.Line > 0 {
				physical.Region = &sarifRegion{problem.Where.Line}
			}
			result.Locations = append(result.Locations, sarifLocation{physical})
		}
		if !known[result.RuleID] {
			known[result.RuleID] = true
			run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{result.RuleID})
		}
		run.Results = append(run.Results, result)
	}
	return sarifLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run}}
}
