package kargo_test

import (
	"errors"
	"fmt"

	"kargo"
)

// A plan is text that a person reads: a line for each change, with its reason,
// and for each change that is held, with what it waits for.
func ExamplePlan() {
	plan := kargo.Plan{
		Changes: []kargo.Change{
			{Kind: kargo.KindNetwork, Action: kargo.Create, Name: "kargo-dbs_default", Reason: "new"},
			{Kind: kargo.KindService, Action: kargo.Create, Name: "kargo-dbs_redis", Reason: "new"},
		},
		Held: []kargo.Hold{{Stack: "apps", Name: "apps", Reason: "it waits for dbs"}},
	}
	fmt.Print(plan)
	fmt.Println(plan.Summary())
	// Output:
	// create network kargo-dbs_default: new
	// create service kargo-dbs_redis: new
	// hold stack apps: it waits for dbs
	// 2 to create, 1 held
}

// Each package classifies its errors where they arise. Those that add words
// keep the class, which decides the exit code and what the loop does next.
func ExampleFaultOf() {
	err := kargo.Errorf(kargo.Unavailable, "git host does not answer")
	err = fmt.Errorf("fetch revision: %w", err)
	fmt.Println(kargo.FaultOf(err), "-", err)
	fmt.Println(kargo.FaultOf(errors.New("nobody classified this")))
	// Output:
	// unavailable - fetch revision: git host does not answer
	// internal
}

// A problem shows its place first, in the form that editors understand.
func ExampleProblem() {
	fmt.Println(kargo.Problem{
		Where:   kargo.Place{File: "deploy/redis.yml", Line: 4},
		Message: `there is no variable "REDIS_TGA"`,
		Hint:    "did you mean REDIS_TAG?",
	})
	// Output:
	// deploy/redis.yml:4: there is no variable "REDIS_TGA" (did you mean REDIS_TAG?)
}

// A mask hides secrets in every text that leaves the program: values by the
// names of their variables, and the same values wherever else they occur. What
// is shown instead is a keyed digest, so that a change of the value can be seen.
func ExampleMask() {
	mask := kargo.NewMask([]byte("key"), kargo.Environment{"REDIS_PASSWORD": "correct horse battery"})
	fmt.Println(mask.Text("cannot log in with correct horse battery"))
	// Output:
	// cannot log in with ***a3a5eb3f
}
