# What the five machines share: one repository, one writer name each, the money.
{
  panther.budget.limitDollars = 10;
  panther.fleet = {
    zephyrus = {
      role = "admin";
      budgetDollars = 3.5;
    };
    yoga.budgetDollars = 1;
    hetzner.budgetDollars = 3.5;
    contabo.budgetDollars = 1;
    ovh.budgetDollars = 0.5;
  };
}
