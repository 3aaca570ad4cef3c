"""Planner, coder and critic: what each is told, may use, and gives back."""
