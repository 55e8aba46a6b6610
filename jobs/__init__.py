"""The batch jobs of dice-inspect: storage, plan, execution and the command line."""
