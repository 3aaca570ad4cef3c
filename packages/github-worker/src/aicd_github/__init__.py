"""Git, work trees and code hosts: everything of AI-CD that touches a repository."""
