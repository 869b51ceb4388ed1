package cart

// +kubebuilder:rbac:groups=skipped,resources=cart-test,verbs=get
